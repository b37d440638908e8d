// changed: first step
// removed: second
/* Two functions that are the same in the new build became one (-fipa-icf). Only one of them changes. */
#include "case.h"

static NOINLINE int first(int n)
{
	n = n * 12345 % 777;
#ifndef NEW
	return n * 3 + 1;
#else
	return n * 3;
#endif
}

static NOINLINE int second(int n)
{
	n = n * 12345 % 777;
	return n * 3;
}

void step(int n)
{
	printf("%d %d %d", first(n), second(n), 0);
}
