// changed: f g
// fixed:
/* A local table that is indexed from its inside as well, behind zeros (clang). */
#include "case.h"

static inline __attribute__((always_inline)) int look_up(int n)
{
	const unsigned char table[24] = { 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
#ifdef NEW
		99,
#else
		6,
#endif
		7, 8, 9 };

	return table[n];
}

NOINLINE int f(int n)
{
	OPAQUE(n);
	return look_up(n % 24);
}

NOINLINE int g(int n)
{
	OPAQUE(n);
	return look_up((n & 7) + 4);
}

void step(int n)
{
	printf("%d %d %d", n, f(14), g(n));
}
