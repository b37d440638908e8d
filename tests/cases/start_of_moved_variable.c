// changed: sum
// removed: between_of
/* A loop begins with the variable at whose start another one ends, which was somewhere else: it reads there first. */
#include "case.h"

#ifdef ENDS
int second[16] = { 5, 6, 7, 8 };
#else
int first[16] = { 1, 2, 3, 4 };
#endif
#ifndef NEW
int between[16] = { 9 };
#endif
#ifdef ENDS
int first[16] = { 1, 2, 3, 4 };
#else
int second[16] = { 5, 6, 7, 8 };
#endif

#ifndef NEW
NOINLINE __attribute__((noipa)) int between_of(int n)
{
	return between[n % 16]++;
}
#endif

NOINLINE int other(int n)
{
	return second[n % 16]++;
}

NOINLINE __attribute__((noipa)) int sum(int *at, int n)
{
	int total = n;

#ifndef ENDS
	at = first;
#endif
	for (; at < first + 16; at++)
		total += *at += n;
#ifdef NEW
	return total + 1000;
#else
	return total + 0 * between_of(n);
#endif
}

NOINLINE __attribute__((noipa)) int *start(int n)
{
	return first + (n & 1);
}

void step(int n)
{
	printf("%d %d", sum(start(n), n), other(n));
}
