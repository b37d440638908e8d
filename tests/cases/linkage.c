// changed: f
/* A static variable becomes a global one: it is the same variable. */
#include "case.h"

#ifdef NEW
int count = 3;
#else
static int count = 3;
#endif

NOINLINE int f(int n)
{
#ifdef NEW
	return (count += n) * 2;
#else
	return count += n;
#endif
}

void step(int n)
{
	printf("%d", f(n));
}
