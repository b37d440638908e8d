// changed: f
/* A call leads to another function of the same signature: only the distance in the code differs. */
#include "case.h"

NOINLINE int plus(int n)
{
	OPAQUE(n);
	return n + 1;
}

NOINLINE int minus(int n)
{
	OPAQUE(n);
	return n - 1;
}

NOINLINE int f(int n)
{
#ifdef NEW
	return minus(n) * 3;
#else
	return plus(n) * 3;
#endif
}

void step(int n)
{
	printf("%d %d %d", f(n), plus(n), minus(n));
}
