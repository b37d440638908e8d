// changed: _Z4calli
// same-output:
/* What leaves a function ends the program now: the function has an exception table that covers nothing. */
#include "case.h"

NOINLINE int thrower(int n)
{
	OPAQUE(n);
	if (n > 1000)
		throw n;
	return n;
}

#ifdef NEW
NOINLINE int call(int n) noexcept
#else
NOINLINE int call(int n)
#endif
{
	return thrower(n) * 3 + 1;
}

extern "C" void step(int n)
{
	printf("%d %d", n, call(n));
}
