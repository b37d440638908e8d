// changed: walk
/* A table of functions in which the function that uses it comes first. */
#include "case.h"

int walk(int n, int left);
NOINLINE static int leave(int n, int left)
{
	OPAQUE(left);
	return n + left;
}
NOINLINE static int leap(int n, int left)
{
	OPAQUE(left);
	return n * 2 + left;
}

static int (*const ways[])(int, int) = { walk, leave, leap };

NOINLINE int walk(int n, int left)
{
#ifdef NEW
	n += 100;
#else
	n += 1;
#endif
	return ways[left > 0 ? 0 : 1 + n % 2](n, left - 1);
}

void step(int n)
{
	printf("%d", walk(n, 2));
}
