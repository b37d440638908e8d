// changed: f
// refused: data-changed calls
// flags: -Wl,-z,pack-relative-relocs
/* Only a pointer in a read-only table changes, and DT_RELR is where pointers are told. */
#include "case.h"

static NOINLINE int plus(int n)
{
	OPAQUE(n);
	return n + 1;
}

static NOINLINE int minus(int n)
{
	OPAQUE(n);
	return n - 1;
}

#ifdef NEW
static int (*const calls[])(int) = { plus, plus, minus };
#else
static int (*const calls[])(int) = { plus, minus, minus };
#endif

NOINLINE int f(int n)
{
	return calls[n % 3](n);
}

void step(int n)
{
	printf("%d", f(n));
}
