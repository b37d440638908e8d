// changed: f g step
// new: measure
// removed: measure.isra.0
/* New code reads one more member: the clone has another signature, and its callers change with it. */
#include "case.h"

struct pair { int a, b; };

static NOINLINE int measure(const struct pair *pair)
{
	int a = pair->a;

	OPAQUE(a);
#ifdef NEW
	return a * 7 + pair->b;
#else
	return a * 5;
#endif
}

NOINLINE int f(struct pair *pair, int n)
{
	pair->a = n;
	return measure(pair) + pair->b;
}

NOINLINE int g(struct pair *pair, int n)
{
	pair->a = n * 2;
	return measure(pair) - pair->b;
}

void step(int n)
{
	struct pair pair = { 0, 3 };

	printf("%d %d", f(&pair, n), g(&pair, n));
}
