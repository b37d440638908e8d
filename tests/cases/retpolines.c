// changed: f
// flags: -mindirect-branch=thunk -fcf-protection=none
// only: gcc
/* Indirect calls and jumps through thunks. */
#include "case.h"

NOINLINE int twice(int n)
{
	OPAQUE(n);
	return n * 2;
}

static int (*volatile calls[])(int) = { abs, twice };

NOINLINE int f(int n)
{
#ifdef NEW
	return calls[1 - n % 2](n - 4) + 100;
#else
	return calls[n % 2](n - 4);
#endif
}

void step(int n)
{
	printf("%d", f(n));
}
