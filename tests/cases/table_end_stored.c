// changed: f
// refused: data-changed table
/* A pointer behind the last element of a constant table, in data. */
#include "case.h"

static const int table[4] = {1, 2, 3,
#ifdef NEW
	40
#else
	4
#endif
};
const int *volatile end = table + 4;

NOINLINE int f(int n)
{
	OPAQUE(n);
	return table[n & 3];
}

void step(int n)
{
	printf("%d %d", f(n), end[-1]);
}
