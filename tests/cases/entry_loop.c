// changed: f
/* A loop whose head is the entry of the function. */
#include "case.h"

NOINLINE int f(int *p, int n)
{
	do {
		OPAQUE(n);
#ifdef NEW
		n = *p++ * 2 + n;
#else
		n = *p++ + n;
#endif
	} while (*p);
	return n;
}

void step(int n)
{
	int numbers[] = { n + 1, 5, 6, 7, 0 };

	printf("%d", f(numbers, n));
}
