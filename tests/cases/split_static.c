// changed: count report
// lines: 0 | 0 | 1 | 2 | 0 | 0 | 3 | 4
/* Each build uses another member of a static structure: clang keeps only that one, and calls it `state.0`. */
#include "case.h"

static struct {
	int received, sent, errors;
} state;

static NOINLINE void count(int n)
{
	OPAQUE(n);
#ifdef NEW
	state.sent += n >= 0;
#else
	state.received += n + 100;
#endif
}

static NOINLINE int report(void)
{
#ifdef NEW
	return state.sent;
#else
	return state.received > 100000;
#endif
}

void step(int n)
{
	count(n);
	printf("%d", report());
}
