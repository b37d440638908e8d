// changed: f
/* The count of a loop that changes by as much as the lines moved, in the register of an argument. */
#include "case.h"
#include <assert.h>

#ifdef NEW
#line 10
#else
#line 10
#endif
NOINLINE int f(int n)
{
	assert(n < 1000);
	int s = 0;
	int c =
#ifdef NEW
		13;
#else
		11;
#endif
	__asm__("" : "+c"(c));
	while (c--)
		s += c;
	return s;
}

void step(int n)
{
	printf("%d", f(n));
}
