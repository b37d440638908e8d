// changed: f g
// removed: helper
/* A function is short enough to be inlined in the new build, so that none of it is left. */
#include "case.h"

static int helper(int n)
{
	OPAQUE(n);
#ifdef NEW
	return n + 1;
#else
	int sum = 0;

	for (int i = 0; i < n; i++) {
		sum += i * n;
		printf("<%d>", sum);
		if (sum > 100)
			sum -= 99;
		printf("(%d)", sum ^ i);
	}
	printf("%d;", sum);
	fflush(stdout);
	return sum;
#endif
}

NOINLINE int f(int n)
{
	return helper(n) * 2;
}

NOINLINE int g(int n)
{
	return helper(n + 1) * 3;
}

void step(int n)
{
	printf("%d", f(n));
	printf(" %d", g(n));
}
