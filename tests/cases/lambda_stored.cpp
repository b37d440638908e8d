// changed: _Z4pickii step
// new: _ZZ4pickiiENUliE0_4_FUNEi
// flags: -fno-exceptions
/* Live data leads to a lambda that a new one before it renumbers: it stays what it is. */
#include "case.h"

typedef int call(int);

static call *stored;

NOINLINE call *pick(int n, int m)
{
	OPAQUE(n);
	call *plus = [](int x) { return x + 1; };
#ifdef NEW
	call *square = [](int x) { return x * x; };
#endif
	call *twice = [](int x) { return x * 2; };

#ifdef NEW
	return m ? twice : n % 3 == 2 ? square : plus;
#else
	return m ? twice : plus;
#endif
}

extern "C" void step(int n)
{
	if (!stored)
		stored = pick(0, 1);
	printf("%d %d", pick(n, 0)(n), stored(n));
}
