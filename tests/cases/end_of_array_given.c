// refused: ambiguous-reference calls
// changed: run step
/* A callee gets the end of an array, right behind which a new variable is, and nothing else of the array. */
#include "case.h"

#ifdef NEW
static int calls;
#endif
static int items[8];

NOINLINE int last(int *end, int back)
{
	OPAQUE(back);
	return end[-back]++;
}

NOINLINE int run(int n)
{
	OPAQUE(n);
#ifdef NEW
	calls++;
	return last(items + 8, 1 + (n & 3)) + 1000 * (calls > 0);
#else
	return last(items + 8, 1 + (n & 3));
#endif
}

void step(int n)
{
	printf("%d %d", n, run(n));
}
