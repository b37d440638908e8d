// changed: _Z4calli
/* A base class is caught instead of its derived class, before everything else is. */
#include "case.h"

struct Base {
	int value;
};

struct Derived : Base {
};

NOINLINE void thrower(int n)
{
	OPAQUE(n);
	if (n % 2)
		throw Base{n};
	throw Derived{};
}

NOINLINE int call(int n)
{
	int result = 0;

	try {
		thrower(n);
#ifdef NEW
	} catch (Base &) {
#else
	} catch (Derived &) {
#endif
		result = 1;
	} catch (...) {
		result = 2;
	}
	return result;
}

extern "C" void step(int n)
{
	printf("%d %d", n, call(n));
}
