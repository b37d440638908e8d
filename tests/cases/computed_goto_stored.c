// changed: next
// refused: interior-reference next
/* A state machine that stores labels from its table. */
#include "case.h"

NOINLINE int next(void **where, int n)
{
	static void *const labels[] = { &&first, &&second, &&third };

	if (*where)
		goto **where;
	*where = labels[n % 3];
	return n;
first:
	*where = labels[1];
	return n + 7;
second:
	*where = labels[(n + 1) % 3];
#ifdef NEW
	return n * 3;
#else
	return n + 1;
#endif
third:
	*where = labels[n % 2];
	return n * 2;
}

void step(int n)
{
	static void *where;

	printf("%d", next(&where, n));
}
