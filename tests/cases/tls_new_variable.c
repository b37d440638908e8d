// changed: f
// refused: thread-local calls
/* A new thread-local variable has no place in threads that run. */
#include "case.h"

static __thread int last;
#ifdef NEW
static __thread int calls;
#endif

NOINLINE int f(int n)
{
	last += n;
#ifdef NEW
	return last + ++calls;
#else
	return last;
#endif
}

void step(int n)
{
	printf("%d", f(n));
}
