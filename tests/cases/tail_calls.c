// changed: f g
/* Jumps instead of calls at the end of functions, direct and through a pointer. */
#include "case.h"

static int (*volatile pointer)(int) = abs;

NOINLINE int last(int n)
{
	OPAQUE(n);
	return n * 2;
}

NOINLINE int f(int n)
{
#ifdef NEW
	return n % 2 ? last(-n) : abs(n - 100);
#else
	return n % 2 ? last(n) : abs(-n);
#endif
}

NOINLINE int g(int n)
{
#ifdef NEW
	return pointer(n - 50);
#else
	return pointer(n - 5);
#endif
}

void step(int n)
{
	printf("%d %d", f(n), g(n));
}
