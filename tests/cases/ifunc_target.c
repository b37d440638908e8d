// changed: plain
/* The version that was chosen at start changes. */
#include "case.h"

static NOINLINE int plain(int n)
{
	OPAQUE(n);
#ifdef NEW
	return n + 2;
#else
	return n + 1;
#endif
}

static int (*choose(void))(int)
{
	return plain;
}

int chosen(int n) __attribute__((ifunc("choose")));

void step(int n)
{
	printf("%d", chosen(n));
}
