// changed: fold
/* A function that calls itself, also through another one. */
#include "case.h"

NOINLINE int fold(int n, int depth);

NOINLINE int other(int n, int depth)
{
	return fold(n - 1, depth + 1) + 1;
}

NOINLINE int fold(int n, int depth)
{
	if (n <= 0)
		return depth;
#ifdef NEW
	return n % 2 ? other(n, depth) * 2 : fold(n - 2, depth) * fold(n - 3, depth) + 3;
#else
	return n % 2 ? other(n, depth) : fold(n - 2, depth) + fold(n - 3, depth) * 2;
#endif
}

void step(int n)
{
	printf("%d %d", fold(n, 0), fold(n + 3, 1));
}
