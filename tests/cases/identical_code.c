// changed: first
/* Two functions that are the same in the old build: one jumps to the other (-fipa-icf). Only one of them changes. */
#include "case.h"

NOINLINE int first(int n)
{
	n = n * 12345 % 777;
#ifdef NEW
	return n * 3 + 1;
#else
	return n * 3;
#endif
}

NOINLINE int second(int n)
{
	n = n * 12345 % 777;
	return n * 3;
}

static int (*volatile calls[])(int) = { first, second };

void step(int n)
{
	printf("%d %d %d", calls[0](n), calls[1](n), calls[0] == calls[1]);
}
