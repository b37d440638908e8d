// changed: f
// flags: -fPIC
/* New code takes the address of functions that the target never used, in code and in a new table. */
#include "case.h"
#include <ctype.h>

NOINLINE int f(int n)
{
	OPAQUE(n);
#ifdef NEW
	static int (*const classes[])(int) = {isupper, islower, isdigit};
	int (*same)(int) = n % 2 ? isupper : islower;

	return !!classes[n % 3]('a') * 100 + (same == classes[!(n % 2)]) * 10 + !!same('A');
#else
	return n;
#endif
}

void step(int n)
{
	printf("%d", f(n));
}
