// changed: f
/* The same where the old build has no such data. */
#include "case.h"

NOINLINE const char *pick(const char **names, int n)
{
	return names[n];
}

NOINLINE const char *f(int n)
{
#ifdef NEW
	const char *names[] = { "alpha", "beta", "gamma", "delta", "epsilon", "zeta" };
#else
	const char *names[] = { "one" };

	n = 0;
#endif
	return pick(names, n % 6);
}

void step(int n)
{
	printf("%s", f(n));
}
