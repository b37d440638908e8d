// refused: data-changed level
/* A variable that started as zero starts as something else. */
#include "case.h"

#ifdef NEW
static int level = 7;
#else
static int level;
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
