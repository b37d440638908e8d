// changed: first
/* Two names of one function: both change. */
#include "case.h"

NOINLINE int first(int n)
{
	OPAQUE(n);
#ifdef NEW
	return n * 3 + 78;
#else
	return n * 3 + 77;
#endif
}

int second(int n) __attribute__((alias("first")));

void step(int n)
{
	printf("%d %d", first(n), second(n));
}
