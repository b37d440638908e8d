// changed: _ZN7Derived3addEi step
// same-output:
// refused: type-layout struct Base
// refused: type-layout struct Derived
// flags: -fno-exceptions -fno-rtti
/* The base of the class of a live object has a new member. */
#include "case.h"
#include <new>

struct Base {
	int id = 1;
#ifdef NEW
	int flags = 2;
#endif
};

struct Derived : Base {
	int count = 3;
	int add(int n);
};

NOINLINE int Derived::add(int n)
{
#ifdef NEW
	return count += n + flags - flags;
#else
	return count += n;
#endif
}

static Derived *object;

extern "C" void step(int n)
{
	if (!object)
		object = new (malloc(sizeof *object)) Derived;
	printf("%d", object->add(n));
}
