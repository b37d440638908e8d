// changed: f
// refused: type-layout device
/* A new member where the old layout has a hole: the size stays. */
#include "case.h"

struct device {
	char id;
#ifdef NEW
	char flags;
#endif
	int count;
};

struct device *device;

NOINLINE void make(int n)
{
	device = malloc(sizeof *device);
	device->id = n;
	device->count = n;
}

NOINLINE int f(int n)
{
	device->count += n;
#ifdef NEW
	return device->count + device->flags++;
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
