// changed: f
// refused: thread-local table
// refused: type-layout table
/* A thread-local variable grows: threads that run have the small one. */
#include "case.h"

#ifdef NEW
#define SIZE 12
#else
#define SIZE 8
#endif
static __thread int table[SIZE];

NOINLINE int f(int n)
{
	return table[n % SIZE] += n + SIZE;
}

void step(int n)
{
	printf("%d", f(n * 5 + (n & 8)));
}
