// changed: f
// new: nobody
/* Static thread-local variables of one name in several functions: their numbers shift with a new one. */
#include "case.h"

#ifdef NEW
NOINLINE int nobody(int n)
{
	static __thread int calls = 100;

	return calls += n;
}
#endif

NOINLINE int f(int n)
{
	static __thread int calls = 20;

	calls += n;
#ifdef NEW
	return calls * 2;
#else
	return calls;
#endif
}

NOINLINE int g(int n)
{
	static __thread int calls = 3;

	return calls += n * 2;
}

void step(int n)
{
	printf("%d %d", f(n), g(n));
}
