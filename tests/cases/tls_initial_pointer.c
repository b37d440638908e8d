// refused: thread-local text
/* The initial value is an address, which a relocation holds. */
#include "case.h"

static const char one[] = "one", other[] = "other";
#ifdef NEW
static __thread const char *text = other;
#else
static __thread const char *text = one;
#endif

NOINLINE const char *f(int n)
{
	const char *was = text;

	text = n & 1 ? one : other;
	return was;
}

void step(int n)
{
	printf("%s", f(n));
}
