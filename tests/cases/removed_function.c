// changed: f
// removed: helper
/* A function and its static variable are gone from the new build. */
#include "case.h"

#ifndef NEW
static NOINLINE int helper(int n)
{
	OPAQUE(n);
	return n * 4;
}
#endif

NOINLINE int f(int n)
{
	OPAQUE(n);
#ifdef NEW
	return n + 40;
#else
	return helper(n);
#endif
}

void step(int n)
{
	printf("%d", f(n));
}
