// changed: _Z5innerii
/* An exception is thrown through a changed function. */
#include "case.h"

NOINLINE void thrower(int n)
{
	if (n % 2)
		throw n;
}

struct Guard {
	int *count;
	~Guard() { ++*count; }
};

static int unwound;

NOINLINE int inner(int n, int m)
{
	Guard guard{&unwound};

	thrower(n);
#ifdef NEW
	return n + m * 2;
#else
	return n + m;
#endif
}

extern "C" void step(int n)
{
	try {
		printf("%d ", inner(n, 3));
	} catch (int caught) {
		printf("caught %d ", caught);
	}
	printf("%d", unwound);
}
