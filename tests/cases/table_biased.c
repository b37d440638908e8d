// fixed:
// refused: ambiguous-reference table
/* Compilers fold a constant into a table's address, which then lies before the table. */
#include "case.h"

static const int before[16] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6};
static const int table[16] = {1, 2, 3, 4, 5, 6, 7, 8,
#ifdef NEW
	90,
#else
	9,
#endif
	10, 11, 12, 13, 14, 15, 16};

NOINLINE int f(long n)
{
	OPAQUE(n);
	return table[n - 5];
}

NOINLINE int g(long n)
{
	OPAQUE(n);
	return before[n];
}

void step(int n)
{
	printf("%d %d", f(n + 9), g(n));
}
