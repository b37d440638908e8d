// changed: f
/* A new read-only table, and one more element in a static table that only the changed function uses. */
#include "case.h"

#ifdef NEW
static const unsigned short weights[] = { 1, 10, 100, 1000, 10000 };
static const int primes[] = { 2, 3, 5, 7, 11 };
#else
static const int primes[] = { 2, 3, 5, 7 };
#endif

NOINLINE int f(int n)
{
	unsigned i = (unsigned)n % (sizeof primes / sizeof *primes);

	OPAQUE(i);
#ifdef NEW
	return primes[i] + weights[i];
#else
	return primes[i];
#endif
}

void step(int n)
{
	printf("%d", f(n));
}
