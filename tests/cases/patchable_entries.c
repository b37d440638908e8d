// changed: f
// flags: -fpatchable-function-entry=8,2
/* Room before and at each entry, with a table of all entries. */
#include "case.h"

NOINLINE int f(int n)
{
	OPAQUE(n);
#ifdef NEW
	return n * 3;
#else
	return n * 2;
#endif
}

void step(int n)
{
	printf("%d", f(n));
}
