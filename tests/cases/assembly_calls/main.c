// changed: f
/* Hand-written assembly that does not change: changed code calls it, and it calls changed code. */
#include "../case.h"

int twice_plus(int n, int (*call)(int));
int through(int n);

int target(int n)
{
	OPAQUE(n);
	return n + 1;
}

NOINLINE int f(int n)
{
#ifdef NEW
	return twice_plus(n, target) + 1000;
#else
	return twice_plus(n + 1, target);
#endif
}

void step(int n)
{
	printf("%d %d", f(n), through(n));
}
