// changed: f g h step
/* A function takes one more argument, in the middle: its callers change with it. */
#include "case.h"

#ifdef NEW
NOINLINE int f(int a, int extra, int b)
{
	OPAQUE(a);
	return a * b + extra;
}
#define F(a, b) f(a, 3, b)
#else
NOINLINE int f(int a, int b)
{
	OPAQUE(a);
	return a * b;
}
#define F(a, b) f(a, b)
#endif

NOINLINE int g(int n)
{
	return F(n, 7) + 1;
}

NOINLINE int h(int n)
{
	return F(7, n + 1) + 2;
}

void step(int n)
{
	printf("%d %d", g(n), h(n));
}
