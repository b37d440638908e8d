// changed: f g
/* A line number that is no argument of a call: callers do see it. */
#include "case.h"
#include <assert.h>

#ifdef NEW
#line 11
#else
#line 10
#endif
NOINLINE int f(int n)
{
	assert(n < 1000);
	int line = __LINE__;
	__asm__("" : "+d"(line));
	return line;
}

NOINLINE int g(int n)
{
	assert(n < 1000);
	return __LINE__;
}

void step(int n)
{
	printf("%d %d", f(n), g(n));
}
