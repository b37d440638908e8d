// changed: f
// refused: type-layout device
/* The same, but the function also uses memory of another type as an object of the type. */
#include "case.h"

struct device {
	char id;
#ifdef NEW
	char flags;
#endif
	int count;
};

static struct device device;
void *memory;

NOINLINE void make(void)
{
	memory = malloc(64);
	__builtin_memset(memory, 1, 64);
}

NOINLINE int f(int n)
{
	device.count += n;
#ifdef NEW
	return device.count + device.flags * 100 + 1000 + ((struct device *)memory)->flags;
#else
	return device.count + ((struct device *)memory)->id;
#endif
}

void step(int n)
{
	if (!memory)
		make();
	printf("%d", f(n) + n);
}
