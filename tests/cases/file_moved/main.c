// changed: f
// refused: ambiguous-variable count
/* A function and its static variable are moved to another file. */
#include "../case.h"

int f(int n);

#ifndef NEW
static int count = 5;

NOINLINE int f(int n)
{
	return count += n;
}
#endif

void step(int n)
{
	printf("%d", f(n));
}
