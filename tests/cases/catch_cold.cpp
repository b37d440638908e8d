// changed: _Z4calliPi
/* Calls in the part that is seldom run are covered by another handler; those in the other part are not. */
#include "case.h"

struct Guard {
	int *count;
	~Guard() { ++*count; }
};

NOINLINE void first(int n)
{
	OPAQUE(n);
	if (n > 1000)
		throw 1;
}

NOINLINE void second(int n)
{
	OPAQUE(n);
	if (n & 1)
		throw 2L;
}

NOINLINE __attribute__((cold)) void report(int n)
{
	OPAQUE(n);
}

NOINLINE int call(int n, int *count)
{
	Guard guard{count};

	first(n);
	if (__builtin_expect(n % 4 == 1, 0)) {
		report(n);
		try {
			second(n);
			report(n + 1);
#ifdef NEW
		} catch (long &) {
#else
		} catch (int &) {
#endif
			return 7;
		}
	}
	return 0;
}

extern "C" void step(int n)
{
	int count = 0;
	int result;

	try {
		result = call(n, &count);
	} catch (...) {
		result = -1;
	}
	printf("%d %d %d", n, result, count);
}
