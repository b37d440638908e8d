// changed: _Z4makei _Z5checkP4Base
// flags: -fno-exceptions
/* Old and new code make objects of the same class, told apart by their vtables and type information. */
#include "case.h"
#include <new>

struct Base {
	virtual int value() { return 1; }
};

struct Derived : Base {
	int value() override { return 2; }
};

static Base bases[1];
static Derived deriveds[1];

NOINLINE Base *make(int n)
{
	OPAQUE(n);
#ifdef NEW
	return n % 3 ? (Base *)new (deriveds) Derived : new (bases) Base;
#else
	return n % 2 ? (Base *)new (deriveds) Derived : new (bases) Base;
#endif
}

NOINLINE int check(Base *base)
{
#ifdef NEW
	return dynamic_cast<Derived *>(base) ? 20 : 10;
#else
	return dynamic_cast<Derived *>(base) ? 2 : 1;
#endif
}

extern "C" void step(int n)
{
	Base *base = make(n);

	printf("%d %d", base->value(), check(base));
}
