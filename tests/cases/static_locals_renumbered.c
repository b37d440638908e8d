// changed: f
// new: h
/* A new function before the others has a static local variable of the same name: the compiler numbers all anew. */
#include "case.h"

#ifdef NEW
NOINLINE int h(int n)
{
	static int x = 1000;

	OPAQUE(n);
	return n ? x : ++x;
}
#endif

NOINLINE int f(int n)
{
	static int x = 10;

	x += n;
#ifdef NEW
	return x + h(1);
#else
	return x;
#endif
}

NOINLINE int g(int n)
{
	static int x = 20;

	x += 2 * n;
	return x;
}

void step(int n)
{
	printf("%d", f(n));
	printf(" %d", g(n));
}
