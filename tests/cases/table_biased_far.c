// changed: f
// fixed:
/* A table from whose index so much is taken off that the displacement lies in the file header's page (clang). */
#include "case.h"

static const int table[16] = { 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3 };

NOINLINE int f(int n)
{
	int year = (n & 15) + 1840;

	OPAQUE(year);
#ifdef NEW
	return table[year - 1840] + 100;
#else
	return table[year - 1840];
#endif
}

void step(int n)
{
	printf("%d %d", n, f(n));
}
