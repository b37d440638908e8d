// refused: thread-local count
/* A thread that begins later would get the target's initial value. */
#include "case.h"

#ifdef NEW
static __thread int count = 4;
#else
static __thread int count = 3;
#endif

NOINLINE int f(int n)
{
	return count += n;
}

void step(int n)
{
	printf("%d", f(n));
}
