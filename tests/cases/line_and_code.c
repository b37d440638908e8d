// changed: g step
// line-only: f
/* A change of code moves an assertion of another function. */
#include "case.h"
#include <assert.h>

NOINLINE int g(int n)
{
	OPAQUE(n);
#ifdef NEW
	if (n > 3)
		n -= 2;
#endif
	return n;
}

#ifdef NEW
#line 100
#endif

NOINLINE int f(int n)
{
	assert(n >= 0);
	return n + 1;
}

void step(int n)
{
	printf("%d %d", f(n), g(n));
}
