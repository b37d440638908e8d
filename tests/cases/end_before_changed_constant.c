// refused: ambiguous-reference
// changed: find other
/* The same, and the constant behind the array changes. */
#include "case.h"

static const int values[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

NOINLINE int find(const int *value, int n)
{
	for (; value < values + 8; value++)
		if (*value >= n)
#ifdef NEW
			return *value + 100;
#else
			return *value;
#endif
	return -1;
}

NOINLINE const int *start(int n)
{
	OPAQUE(n);
	return values + (n & 1);
}

NOINLINE int other(int n)
{
	const int numbers[8] = { 9, 8, 7, 6, 5,
#ifdef NEW
		44,
#else
		4,
#endif
		3, 2 };

	OPAQUE(n);
	return numbers[n & 7];
}

void step(int n)
{
	printf("%d %d %d", n, other(n), find(start(n), n));
}
