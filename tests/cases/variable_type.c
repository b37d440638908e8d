// changed: f
// same-output:
// refused: type-layout level
/* A live variable has another type of the same size. */
#include "case.h"

#ifdef NEW
static float level;
#else
static int level;
#endif

NOINLINE int f(int n)
{
	level += n;
	return (int)level;
}

void step(int n)
{
	printf("%d", f(n));
}
