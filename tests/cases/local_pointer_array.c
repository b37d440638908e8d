// changed: f
/* An automatic array of pointers: compilers make unnamed read-only data with relocations for it. */
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
	const char *names[] = { "one", "two", "three", "four", "five", "six" };
#endif
	return pick(names, n % 6);
}

NOINLINE const char *g(int n)
{
	const char *names[] = { "a", "b", "c", "d" };

	return pick(names, n % 4);
}

void step(int n)
{
	printf("%s %s", f(n), g(n));
}
