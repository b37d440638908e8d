// changed: f
// refused: type-layout device
/* The same, but somebody gets the variable's address. */
#include "case.h"

struct device {
	char id;
#ifdef NEW
	char flags;
#endif
	int count;
};

static struct device device;

NOINLINE void fill(struct device *to)
{
	OPAQUE(to);
	to->id = 1;
	to->count = 2;
}

NOINLINE int f(int n)
{
	device.count += n;
#ifdef NEW
	return device.count + device.flags * 100 + 1000;
#else
	return device.count;
#endif
}

void step(int n)
{
	if (n == 0)
		fill(&device);
	printf("%d", f(n));
}
