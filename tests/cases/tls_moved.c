// changed: f
/* A new thread-local variable that nothing in the changed code uses moves the others. */
#include "case.h"

#ifdef NEW
__thread long before[4] = { 1, 2, 3, 4 };
#endif
__thread int count = 3;
static __thread int last;

NOINLINE int f(int n)
{
	count += n;
	last += count;
#ifdef NEW
	return count * 2 + last;
#else
	return count + last;
#endif
}

void step(int n)
{
	printf("%d", f(n));
}
