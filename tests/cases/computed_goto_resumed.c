// changed: next
// refused: interior-reference next
/* A generator that stores where to go on: what old code stored leads into old code. */
#include "case.h"

NOINLINE int next(int n)
{
	static void *where;

	if (where)
		goto *where;
	where = &&second;
	return n;
second:
	where = &&third;
#ifdef NEW
	return n * 3;
#else
	return n + 1;
#endif
third:
	where = &&second;
	return n * 2;
}

void step(int n)
{
	printf("%d", next(n));
}
