// changed: measure.isra.0
/* gcc passes the one member that is read instead of the structure (.isra). */
#include "case.h"

struct pair { int a, b; };

static NOINLINE int measure(const struct pair *pair)
{
	int a = pair->a;

	OPAQUE(a);
#ifdef NEW
	return a * 7;
#else
	return a * 5;
#endif
}

NOINLINE int f(struct pair *pair, int n)
{
	pair->a = n;
	return measure(pair) + pair->b;
}

void step(int n)
{
	struct pair pair = { 0, 3 };

	printf("%d", f(&pair, n));
}
