// changed: f
// lines: 0 0 | 1 1 | 2 102 | 3 203 | 4 4 | 5 5 | 6 306 | 7 407
/* A static local variable before one that exists, of another function with the same name for it. */
#include "case.h"

NOINLINE int g(void)
{
	static int count;

	return count++;
}

NOINLINE int f(int n)
{
#ifdef NEW
	static int count = 100;

	n += count;
	count += 100;
#endif
	OPAQUE(n);
	return n;
}

void step(int n)
{
	printf("%d %d", g(), f(n));
}
