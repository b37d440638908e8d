// changed: _Z6middlei _Z7cleanupi
/* Old code calls new code calls old code: exceptions pass all of them, and others are thrown and caught meanwhile. */
#include "case.h"

static int trace;

#ifdef NEW
#define FACTOR 3
#else
#define FACTOR 2
#endif

NOINLINE void innermost(int n)
{
	OPAQUE(n);
	if (n % 3 == 0)
		throw 1;
	if (n % 3 == 1)
		throw 2L;
}

NOINLINE void cleanup(int n)
{
	try {
		innermost(n);
	} catch (...) {
		trace += FACTOR;
	}
}

struct Guard {
	int n;
	~Guard() { cleanup(n); }
};

NOINLINE int inner(int n)
{
	Guard guard{n + 1};

	innermost(n);
	return 5;
}

NOINLINE int middle(int n)
{
	Guard guard{n};

	try {
		return inner(n) * FACTOR;
	} catch (int) {
		try {
			inner(n + 1);
		} catch (long) {
			trace += 100 * FACTOR;
		}
		throw;
	}
}

extern "C" void step(int n)
{
	int result;

	trace = 0;
	try {
		result = middle(n);
	} catch (int number) {
		result = -number;
	} catch (long number) {
		result = -10 * number;
	}
	printf("%d %d %d", n, result, trace);
}
