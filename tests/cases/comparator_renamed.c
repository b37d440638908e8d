// changed: f
// new: descending
// removed: compare
/* A function whose address is only given to a library for the time of a call has another name: nothing keeps the old one. */
#include "case.h"
#include <stdlib.h>

#ifdef NEW
static int descending(const void *a, const void *b)
{
	return *(const int *)b - *(const int *)a;
}
#define compare descending
#else
static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}
#endif

static NOINLINE int f(int n)
{
	int all[4] = {3, n, 9, 1};

	qsort(all, 4, sizeof all[0], compare);
	return all[0] * 1000 + all[1] * 100 + all[2] * 10 + all[3];
}

void step(int n)
{
	printf("%d", f(n));
}
