// refused: data-changed table
// changed: f
// fixed:
/* A loop to the end of a constant table, which is where the next one begins: new code has a copy of the table. */
#include "case.h"

static const long table[6] = {1, 2, 3,
#ifdef NEW
	40,
#else
	4,
#endif
	5, 6};
static const long next[6] = {7, 8, 9, 10, 11, 12};

NOINLINE long f(long n)
{
	const long *end = next;

	OPAQUE(n);
	OPAQUE(end);
	for (const long *p = table; p < table + 6; p++)
		n += *p * (p != end);
	return n;
}

NOINLINE long g(long n)
{
	OPAQUE(n);
	for (const long *p = next; p < next + 6; p++)
		n += *p;
	return n;
}

void step(int n)
{
	printf("%ld %ld", f(n), g(n));
}
