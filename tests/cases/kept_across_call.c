// refused: data-changed modes
// changed: choose_mode show
// same-output:
/* A table whose address stays in an argument register over a call (-fipa-ra), and is stored behind it. */
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

static volatile int calls;

static NOINLINE void count(void)
{
	calls++;
}

static NOINLINE void choose(const int *mode, int n)
{
	count();
	current = mode + n;
}

NOINLINE void choose_mode(int n)
{
	OPAQUE(n);
	choose(modes, n);
}

NOINLINE void choose_other(int n)
{
	OPAQUE(n);
	choose((const int *)&calls, n);
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
		choose_mode(n);
	if (n > 100)
		choose_other(n);
	show(n);
	printf("%d", n);
}
