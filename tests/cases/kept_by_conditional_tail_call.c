// refused: data-changed modes
// changed: choose_mode show
// same-output:
/* A table whose address is given away by a conditional jump to another function (clang -Os). */
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

NOINLINE void keep(const int *mode, int n)
{
	current = mode;
	__asm__ volatile("" : : "r"(n) : "memory");
}

NOINLINE void choose(const int *mode, int n)
{
	if (n < 2)
		keep(mode, n);
}

NOINLINE void choose_mode(int n)
{
	const int *mode = modes;

	OPAQUE(n);
	choose(mode, n);
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
	choose_mode(n);
	show(n);
	printf("%d", n);
}
