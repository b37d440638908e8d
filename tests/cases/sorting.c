// changed: sort
// new: downwards
/* A library function calls back into old and new code. */
#include "case.h"

static int upwards(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

#ifdef NEW
static int downwards(const void *a, const void *b)
{
	return upwards(b, a);
}
#endif

NOINLINE void sort(int *numbers, int count)
{
#ifdef NEW
	qsort(numbers, count, sizeof *numbers, count % 2 ? upwards : downwards);
#else
	qsort(numbers, count, sizeof *numbers, upwards);
#endif
}

void step(int n)
{
	int numbers[] = { 3, n, 9, 2, -n };

	sort(numbers, 4 + n % 2);
	for (int i = 0; i < 5; i++)
		printf("%d ", numbers[i]);
}
