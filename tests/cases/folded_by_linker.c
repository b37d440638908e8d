// changed: first
// new: second
// refused: data-changed calls
// refused: ambiguous-function
// pie:
// flags: -ffunction-sections -fuse-ld=gold -Wl,--icf=all
/* The linker folded two equal functions into one; only one of them changes. */
#include "case.h"

NOINLINE int first(int n)
{
	OPAQUE(n);
#ifdef NEW
	return n * 3 + 1;
#else
	return n * 3;
#endif
}

NOINLINE int second(int n)
{
	OPAQUE(n);
	return n * 3;
}

static int (*volatile calls[])(int) = { first, second };

void step(int n)
{
	printf("%d %d", calls[0](n), calls[1](n));
}
