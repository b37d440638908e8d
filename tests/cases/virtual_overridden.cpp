// flags: -fno-exceptions -fno-rtti
// changed: _ZN6Device4sizeEv step
// new: _ZN6Serial4sizeEv
// refused: data-changed _ZTV6Serial
// refused: type-layout struct Serial
/* A class begins to override a virtual function: the table that a live object has leads to the base's. */
#include "case.h"
#include <new>

struct Device {
	int at = 1;
	virtual int size();
};

NOINLINE int Device::size()
{
#ifdef NEW
	return at + 2;
#else
	return at + 1;
#endif
}

struct Serial : Device {
	virtual int more();
#ifdef NEW
	int size() override;
#endif
};

NOINLINE int Serial::more()
{
	return at;
}

#ifdef NEW
NOINLINE int Serial::size()
{
	return 70;
}
#endif

static Device *object;

extern "C" void step(int n)
{
	if (!object)
		object = new (malloc(sizeof(Serial))) Serial;
	object->at = n;
	printf("%d", object->size());
}
