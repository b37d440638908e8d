// changed: running
/* A value is added behind the others of an enum without a name. */
#include "case.h"

enum {
	ST_IDLE,
	ST_RUN,
#ifdef NEW
	ST_STOP,
#endif
};

int state;

NOINLINE void start(int n)
{
	if (n == 0)
		state = ST_RUN;
}

NOINLINE int running(int n)
{
	OPAQUE(n);
#ifdef NEW
	if (state == ST_STOP)
		return 200;
	return state == ST_RUN ? 50 + n : state == ST_IDLE ? n : 7;
#else
	return state == ST_RUN ? 100 + n : state == ST_IDLE ? n : 7;
#endif
}

void step(int n)
{
	start(n);
	printf("%d", running(n));
}
