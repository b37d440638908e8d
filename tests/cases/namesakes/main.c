// changed: work
/* Static functions and variables of the same names in two files; one changes. */
#include "../case.h"

int other(int n);
static int state = 1;

static NOINLINE int work(int n)
{
	state += n;
	return state;
}

void step(int n)
{
	printf("%d %d", work(n), other(n));
}
