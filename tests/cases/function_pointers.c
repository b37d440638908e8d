// changed: f g
/* A function has one address in old and new code, changed or not. */
#include "case.h"

typedef int call(int);

NOINLINE int f(int n);
static call *stored = f;

static NOINLINE int local(int n)
{
	OPAQUE(n);
	return n + 5;
}

NOINLINE call *g(int n)
{
	OPAQUE(n);
#ifdef NEW
	return n % 2 ? local : f;
#else
	return n % 2 ? f : local;
#endif
}

NOINLINE int f(int n)
{
	OPAQUE(n);
#ifdef NEW
	return n * 100 + (stored == f) * 10 + (stored == local);
#else
	return n * 50 + (stored == f) * 10 + (stored == local);
#endif
}

void step(int n)
{
	call *got = g(n);

	printf("%d %d %d", got(n), got == f, got == local);
	stored = n % 4 < 2 ? f : got;
	printf(" %d", stored(n));
}
