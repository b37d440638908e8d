// refused: ambiguous-reference
// changed: find other
/* The same, and a new table lies behind the array. */
#include "case.h"

#ifdef NEW
static const int numbers[6] = { 7, 7, 7, 7, 7, 7 };
#endif

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
	OPAQUE(n);
#ifdef NEW
	return numbers[n % 6];
#else
	return n;
#endif
}

void step(int n)
{
	printf("%d %d %d", n, other(n), find(start(n), n));
}
