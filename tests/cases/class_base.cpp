// refused: data-changed _ZTI7Further
// flags: -fno-exceptions
/* A class gets another base: only its type information knows, and live objects have that of the target. */
#include "case.h"
#include <new>

struct Base {
	virtual int value(int n) { return n + 1; }
};

struct Derived : Base {
	int value(int n) override { return n * 10 + 1; }
};

#ifdef NEW
struct Further : Derived {
#else
struct Further : Base {
#endif
	int value(int n) override { return n * 10 + 2; }
};

static Base *objects[3];

NOINLINE int is_derived(Base *object)
{
	OPAQUE(object);
	return dynamic_cast<Derived *>(object) ? 1 : 0;
}

extern "C" void step(int n)
{
	if (!objects[0]) {
		objects[0] = new Base;
		objects[1] = new Derived;
		objects[2] = new Further;
	}
	printf("%d %d%d%d", n, is_derived(objects[0]), is_derived(objects[1]), is_derived(objects[2]));
}
