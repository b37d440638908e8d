// changed: running
// refused: type-layout ST_RUN
// refused: type-layout ST_STOP
/* A value is inserted in the middle of an enum without a name; live objects hold the old ones in an int. */
#include "case.h"

enum {
	ST_IDLE,
#ifdef NEW
	ST_WAIT,
#endif
	ST_RUN,
	ST_STOP,
};

int state;

NOINLINE void start(int n)
{
	if (n == 0)
		state = 1;
	if (n == 9)
		state = ST_IDLE;
}

NOINLINE int running(int n)
{
	OPAQUE(n);
	return state == ST_RUN ? 100 + n : state == ST_STOP ? 200 : n;
}

void step(int n)
{
	start(n);
	printf("%d", running(n));
}
