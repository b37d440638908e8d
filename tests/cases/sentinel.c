// changed: find
/* Read-only objects that are told apart by their addresses keep them in new code. */
#include "case.h"

static const int none = 0;
static const int other = 0;
static const int *slots[4] = { &none, &other, &none, &other };

NOINLINE void put(int n)
{
	static const int *const both[] = { &none, &other };

	slots[n % 4] = both[n / 2 % 2];
}

NOINLINE int find(int n)
{
	int found = 0;

	OPAQUE(n);
	for (int i = 0; i < 4; i++)
		if (slots[i] == &none)
			found = found * 10 + i + 1;
#ifdef NEW
	slots[n % 4] = slots[n % 4] == &other ? &other : &none;
	return -found;
#else
	return found;
#endif
}

void step(int n)
{
	put(n);
	printf("%d", find(n));
}
