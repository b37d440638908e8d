// changed: choose index
// refused: data-changed modes
/* An address in a constant table is given to a function that keeps it. */
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

NOINLINE void keep(const struct mode *mode)
{
	OPAQUE(mode);
	current = mode;
}

NOINLINE void choose(int n)
{
	OPAQUE(n);
	keep(modes + (n & 3));
	OPAQUE(n);
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
