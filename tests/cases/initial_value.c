// refused: data-changed level
/* The initial value of a variable that lives. */
#include "case.h"

#ifdef NEW
static int level = 7;
#else
static int level = 4;
#endif

NOINLINE int f(int n)
{
	level += n;
	return level;
}

void step(int n)
{
	printf("%d", f(n));
}
