// changed: caller
/* A function whose version is chosen at start (IFUNC): changed code calls it, and takes its address. */
#include "case.h"

static int plain(int n)
{
	OPAQUE(n);
	return n + 1;
}

static int (*choose(void))(int)
{
	return plain;
}

int chosen(int n) __attribute__((ifunc("choose")));

NOINLINE int unchanged(int n)
{
	return chosen(n) * 2;
}

NOINLINE int caller(int n)
{
#ifdef NEW
	return chosen(n * 3) - 7;
#else
	return chosen(n);
#endif
}

void step(int n)
{
	printf("%d %d", caller(n), unchanged(n));
}
