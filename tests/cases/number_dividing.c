// changed: f
/* A divisor that changes by as much as the lines moved, in the register of an argument. */
#include "case.h"
#include <assert.h>

#ifdef NEW
#line 10
#else
#line 10
#endif
NOINLINE int f(unsigned n)
{
	assert(n < 1000);
	unsigned d =
#ifdef NEW
		13;
#else
		11;
#endif
	__asm__("" : "+c"(d));
	return 1000 / d + n;
}

void step(int n)
{
	printf("%d", f(n));
}
