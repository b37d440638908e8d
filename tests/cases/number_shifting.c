// changed: f
/* A shift count that changes by as much as the lines moved, in the register of an argument, beside an assertion. */
#include "case.h"
#include <assert.h>

#ifdef NEW
#line 10
#else
#line 10
#endif
NOINLINE long f(long n)
{
	assert(n < 1000);
	int s =
#ifdef NEW
		13;
#else
		11;
#endif
	__asm__("" : "+c"(s));
	return n << s;
}

void step(int n)
{
	printf("%ld", f(n + 1));
}
