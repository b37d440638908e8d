// changed: choose index
// refused: data-changed modes
/* Old code stores an address in a constant table, new code subtracts its own table's. */
#include "case.h"

static const struct mode {
	int width, height;
} modes[4] = {{1, 2}, {3, 4}, {5,
#ifdef NEW
	66
#else
	6
#endif
}, {7, 8}};
static const struct mode *current;

NOINLINE void choose(int n)
{
	OPAQUE(n);
	current = &modes[n & 3];
}

NOINLINE int index(void)
{
	const struct mode *here = current;

	OPAQUE(here);
	return (int)(here - modes);
}

void step(int n)
{
	choose(n);
	printf("%d", index() + current->height);
}
