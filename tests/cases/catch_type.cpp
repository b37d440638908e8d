// changed: _Z4calli
/* Another type is caught: only the exception table of the function knows. */
#include "case.h"

struct Small {
	int value;
};

struct Large {
	int value;
};

NOINLINE void thrower(int n)
{
	OPAQUE(n);
	if (n % 2)
		throw Small{n};
	throw Large{n};
}

NOINLINE int call(int n)
{
	try {
		thrower(n);
#ifdef NEW
	} catch (Large &caught) {
#else
	} catch (Small &caught) {
#endif
		return caught.value + 100;
	}
	return 0;
}

extern "C" void step(int n)
{
	int result;

	try {
		result = call(n);
	} catch (...) {
		result = -1;
	}
	printf("%d %d", n, result);
}
