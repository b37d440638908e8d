// changed: f
// new: helper
/* The patch brings a function that the target does not have. */
#include "case.h"

#ifdef NEW
static NOINLINE int helper(int n)
{
	return n * n + 1;
}
#endif

NOINLINE int f(int n)
{
	OPAQUE(n);
#ifdef NEW
	return helper(n + 1) * 3;
#else
	return n * 5;
#endif
}

void step(int n)
{
	printf("%d", f(n));
}
