// changed: add
// refused: alignment values
// refused: type-layout values
// flags: -mavx2 -O3
// only: gcc
/* A variable whose alignment grows: vector instructions that reckon with it would fault on the target's. */
#include "case.h"

#ifdef NEW
#define PLACED __attribute__((section(".data.placed"), aligned(32)))
#else
#define PLACED __attribute__((section(".data.placed"), aligned(4)))
#endif

int before[1] __attribute__((section(".data.placed"))) = {1};
int values[16] PLACED = {0, 1};

NOINLINE void add(int n)
{
	OPAQUE(n);
	for (int i = 0; i < 16; i++)
#ifdef NEW
		values[i] += n * 2;
#else
		values[i] += n;
#endif
}

NOINLINE void clear(int *p)
{
	OPAQUE(p);
	for (int i = 0; i < 16; i++)
		p[i] = i;
}

NOINLINE int sum(const int *p)
{
	int result = 0;

	OPAQUE(p);
	for (int i = 0; i < 16; i++)
		result += p[i];
	return result;
}

void step(int n)
{
	clear(values);
	add(n);
	printf("%d %d", n + before[0], sum(values));
}
