// changed: _Z4calli
/* The constructor of a static variable throws at first: the next call tries again. */
#include "case.h"

static int attempts;

struct Thing {
	int value;
	Thing(int n);
};

NOINLINE Thing::Thing(int n) : value(n)
{
	if (++attempts % 6)
		throw attempts;
}

NOINLINE int call(int n)
{
	static Thing thing(n);

#ifdef NEW
	return thing.value * 10;
#else
	return thing.value;
#endif
}

extern "C" void step(int n)
{
	try {
		printf("%d %d", n, call(7));
	} catch (int attempt) {
		printf("%d attempt %d", n, attempt);
	}
}
