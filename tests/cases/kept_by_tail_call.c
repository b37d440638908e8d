// refused: data-changed modes
// changed: choose show
// same-output:
/* A table whose address is given to a function pointer by a tail call. */
#include "case.h"

static const int modes[] = { 1, 2, 3, 4,
#ifdef NEW
	55,
#else
	5,
#endif
	6, 7 };

const int *current;
volatile int names[7] = { 9, 9, 9, 9, 9, 9, 9 };

static NOINLINE void keep(const int *mode)
{
	current = mode;
}

static void (*volatile callback)(const int *) = keep;

NOINLINE void choose(int n)
{
	OPAQUE(n);
	callback(modes + n);
}

NOINLINE void show(int n)
{
	OPAQUE(n);
#ifdef NEW
	unsigned long at = current - modes;

	printf("%d ", at < 7 ? names[at] : -1);
#else
	printf("%d ", current - modes < 7 ? names[current - modes] : -1);
#endif
}

void step(int n)
{
	if (n < 2)
		choose(n);
	show(n);
	printf("%d", n);
}
