// changed: f step
/* A variable is gone from the new build, and all that lie behind it moved. */
#include "case.h"

#ifndef NEW
static int first[16] = { 1 };
#endif
static int second = 2;
int third[3] = { 3, 4, 5 };

NOINLINE int f(int n)
{
#ifdef NEW
	return n + second;
#else
	return n + second + first[n];
#endif
}

NOINLINE int g(int n)
{
	second += n;
	return third[n % 3] += second;
}

void step(int n)
{
	printf("%d %d", f(n), g(n));
}
