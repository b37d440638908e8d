// changed: _Z4nexti
// flags: -fno-exceptions
/* A static local variable that is made at the first call, once for old and new code. */
#include "case.h"

static int made;

struct Counter {
	int count;
	explicit Counter(int start) : count(start + ++made) {}
};

NOINLINE int next(int n)
{
	static Counter counter(n + 100);

	counter.count += 1;
#ifdef NEW
	return counter.count + 1000;
#else
	return counter.count;
#endif
}

extern "C" void step(int n)
{
	printf("%d %d", next(n), made);
}
