// line-only: f
// same-output:
/* Only the line number in an assertion changes. */
#include "case.h"
#include <assert.h>

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
	printf("%d", f(n));
}
