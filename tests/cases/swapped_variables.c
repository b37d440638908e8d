// changed: f
/* An operand leads to another variable of the same type. */
#include "case.h"

static int apples = 3;
static int pears = 50;

NOINLINE int f(int n)
{
#ifdef NEW
	return pears + n;
#else
	return apples + n;
#endif
}

void step(int n)
{
	printf("%d", f(n));
	apples += n;
	pears += 2 * n;
}
