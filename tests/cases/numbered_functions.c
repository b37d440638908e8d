// changed: pick
// new: part.1
// only: gcc
// flags: -O2
/* Live data leads to a nested function that a new one of the same name before it renumbers: it stays what it is. */
#include "case.h"

typedef int call(int);

static call *stored;

NOINLINE call *pick(int n, int m)
{
	OPAQUE(n);
	if (n > 100) {
		NOINLINE int part(int x) { return x + 1; }
		return part;
	}
#ifdef NEW
	if (m == 0) {
		NOINLINE int part(int x) { return x * x; }
		return part;
	}
#endif
	{
		NOINLINE int part(int x) { return x * 2; }
		return part;
	}
}

void step(int n)
{
	if (!stored)
		stored = pick(0, 1);
	printf("%d %d", pick(n, 0)(n), stored(n));
}
