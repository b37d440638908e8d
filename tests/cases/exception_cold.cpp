// changed: _Z4calliPi
/* Landing pads and calls lie in the part of the function that is seldom run. */
#include "case.h"

struct Guard {
	int *count;
	~Guard() { ++*count; }
};

NOINLINE __attribute__((cold)) void report(int n)
{
	OPAQUE(n);
	if (n % 3 == 0)
		throw n;
}

NOINLINE void first(int n)
{
	OPAQUE(n);
	if (n % 5 == 0)
		throw 5L;
}

NOINLINE int call(int n, int *count)
{
	Guard guard{count};

	first(n);
	if (__builtin_expect(n % 2 == 1, 0)) {
		Guard another{count};
		try {
			report(n);
			report(n + 1);
		} catch (int &number) {
#ifdef NEW
			return number * 7;
#else
			return number;
#endif
		}
	}
#ifdef NEW
	return 1;
#else
	return 0;
#endif
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
