// changed: give_up
/* A function that never returns, left by longjmp. */
#include "case.h"
#include <setjmp.h>

static jmp_buf home;
static int reason;

__attribute__((noreturn, noinline)) void give_up(int n)
{
#ifdef NEW
	reason = n + 100;
#else
	reason = n;
#endif
	longjmp(home, 1);
}

NOINLINE int try(int n)
{
	if (setjmp(home))
		return -reason;
	if (n % 2)
		give_up(n);
	return n;
}

void step(int n)
{
	printf("%d", try(n));
}
