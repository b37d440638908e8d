// changed: running
// refused: type-layout constant ST_RUN
/* A state's number, a constant of the file, moves; live objects hold the old one. */
#include "case.h"

#ifdef NEW
static const int ST_RUN = 2;
#else
static const int ST_RUN = 1;
#endif

int state;

NOINLINE void start(int n)
{
	if (n == 0)
		state = 1;
}

NOINLINE int running(int n)
{
	OPAQUE(n);
	return state == ST_RUN ? 100 + n : n;
}

void step(int n)
{
	start(n);
	printf("%d", running(n));
}
