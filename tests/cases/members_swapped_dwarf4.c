// changed: f make
// same-output:
// flags: -gdwarf-4
// refused: type-layout device
/* Two members of one type change places; debugging information in another form. */
#include "case.h"

struct device {
#ifdef NEW
	int count, id;
#else
	int id, count;
#endif
};

struct device *device;

NOINLINE void make(int n)
{
	device = malloc(sizeof *device);
	device->id = n + 7;
	device->count = n;
}

NOINLINE int f(int n)
{
	device->count += n;
	return device->count;
}

void step(int n)
{
	if (!device)
		make(n);
	printf("%d", f(n));
}
