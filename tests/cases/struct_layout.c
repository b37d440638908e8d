// changed: make f
// refused: type-layout device
/* A structure of which live objects exist has a new member. */
#include "case.h"

struct device {
	int id;
#ifdef NEW
	long flags;
#endif
	int count;
};

struct device *device;

NOINLINE void make(int n)
{
	device = calloc(1, sizeof *device);
	device->id = n;
}

NOINLINE int f(int n)
{
	device->count += n;
#ifdef NEW
	return device->count + ++device->flags;
#else
	return device->count;
#endif
}

void step(int n)
{
	if (!device)
		make(n);
	printf("%d", f(n));
}
