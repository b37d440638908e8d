// changed: f
/* A static local variable goes on with its value in new code and back in old code. */
#include "case.h"

NOINLINE int f(int n)
{
	static int count = 3, sum;

	sum += ++count;
#ifdef NEW
	return sum * 2 + n;
#else
	return sum + n;
#endif
}

void step(int n)
{
	printf("%d", f(n));
}
