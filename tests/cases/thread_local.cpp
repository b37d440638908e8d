// changed: _Z1fi
// flags: -fno-exceptions
/* A thread-local object with a constructor, which runs at the first use in each thread. */
#include "case.h"

static int made;

struct Counter {
	int count;
	Counter() : count(100 + ++made) {}
	int next() { return ++count; }
};

thread_local Counter counter;

NOINLINE int f(int n)
{
#ifdef NEW
	return counter.next() * 2 + n;
#else
	return counter.next() + n;
#endif
}

extern "C" void step(int n)
{
	printf("%d %d", f(n), made);
}
