// changed: f
/* The unlikely part of a function lies far from it. */
#include "case.h"

__attribute__((cold, noinline)) void complain(int n)
{
	printf("complaint %d ", n);
}

NOINLINE int f(int n)
{
	if (__builtin_expect(n % 3 == 2, 0)) {
		complain(n);
#ifdef NEW
		complain(n * 100);
#else
		complain(n * 10);
#endif
		return -1;
	}
	return n * 3;
}

void step(int n)
{
	printf("%d", f(n));
}
