// same-output:
/* Another order of functions and variables, other names of arguments, and comments: nothing changes. */
#include "case.h"

#ifdef NEW
static int second = 2;
static int first = 1;

NOINLINE int g(int count)
{
	return second += count;
}
#else
static int first = 1;
static int second = 2;
#endif

NOINLINE int f(int n)
{
	return first += n;
}

#ifndef NEW
NOINLINE int g(int n)
{
	return second += n;
}
#endif

void step(int n)
{
	printf("%d %d", f(n), g(n));
}
