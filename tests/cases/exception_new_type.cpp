// changed: _Z4calli
// new: _Z6refusei
/* New code throws and catches a class that the program has not had before. */
#include "case.h"

#ifdef NEW
struct Refused {
	int value;
};

NOINLINE void refuse(int n)
{
	OPAQUE(n);
	throw Refused{n};
}
#endif

__attribute__((noipa)) int call(int n)
{
#ifdef NEW
	try {
		if (n % 2)
			refuse(n);
		return 1;
	} catch (Refused &refused) {
		return refused.value * 100;
	}
#else
	return n;
#endif
}

/* Somebody throws and catches in both builds. */
NOINLINE void thrower(int n)
{
	OPAQUE(n);
	throw n;
}

extern "C" void step(int n)
{
	int caught = 0;

	try {
		thrower(n);
	} catch (int number) {
		caught = number;
	}
	printf("%d %d %d", n, call(n), caught);
}
