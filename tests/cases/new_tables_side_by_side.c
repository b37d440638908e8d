// changed: total
/* New tables side by side: where a loop over one ends, the other begins. */
#include "case.h"

#ifdef NEW
static const int first[16] = { 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3 };
static const int second[16] = { 2, 7, 1, 8, 2, 8, 1, 8, 2, 8, 4, 5, 9, 0, 4, 5 };
#endif

NOINLINE int total(int n)
{
	int sum = n;

	OPAQUE(sum);
#ifdef NEW
	for (const int *at = first; at < first + 16; at++)
		sum = sum * 3 % 1000 + *at;
	for (const int *at = second; at < second + 16; at++)
		sum = sum * 5 % 1000 + *at;
#endif
	return sum;
}

void step(int n)
{
	printf("%d", total(n));
}
