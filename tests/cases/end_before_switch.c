// changed: find other
/* The same, and behind the array is the table of a new switch. */
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
	OPAQUE(n);
#ifdef NEW
	switch (n) {
	case 0: return 5;
	case 1: return 77;
	case 2: return 3;
	case 3: return 99;
	case 4: return 15;
	case 5: return 21;
	case 6: return 4;
	default: return 8;
	}
#else
	return n;
#endif
}

void step(int n)
{
	printf("%d %d %d", n, other(n), find(start(n), n));
}
