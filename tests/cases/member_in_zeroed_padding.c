// changed: f
/* A new member in padding of a variable with static storage that nobody takes the address of. */
#include "case.h"

static struct {
	int first;
} other;

struct device {
	char id;
#ifdef NEW
	char flags;
#endif
	int count;
};

static struct device device;

NOINLINE int f(int n)
{
	device.count += n;
	device.id++;
	other.first++;
#ifdef NEW
	return device.count + device.flags * 100 + 1000;
#else
	return device.count + device.id * 0;
#endif
}

void step(int n)
{
	printf("%d", f(n));
}
