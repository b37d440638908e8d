// changed: try
/* The function that setjmp returns to twice changes. */
#include "case.h"
#include <setjmp.h>

static jmp_buf home;

NOINLINE void work(int n)
{
	if (n % 3)
		longjmp(home, n);
}

NOINLINE int try(int n)
{
	volatile int tries = 0;
	int result = setjmp(home);

	tries++;
	if (!result)
		work(n);
#ifdef NEW
	return result * 10 + tries;
#else
	return result + tries;
#endif
}

void step(int n)
{
	printf("%d", try(n));
}
