// changed: f g
/* A constant that the compiler folds into the code of its users: all of them change. */
#include "case.h"

#ifdef NEW
static const int limit = 5;
#else
static const int limit = 3;
#endif

NOINLINE int f(int n)
{
	OPAQUE(n);
	return n > limit ? limit : n;
}

NOINLINE int g(int n)
{
	OPAQUE(n);
	return n * limit;
}

NOINLINE int h(int n)
{
	OPAQUE(n);
	return n + 3;
}

void step(int n)
{
	printf("%d %d %d", f(n), g(n), h(n));
}
