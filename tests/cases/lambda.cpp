// changed: _Z4pickii
// new: _ZZ4pickiiENUliE0_4_FUNEi
// flags: -fno-exceptions
/* A new lambda before others renumbers them; its address is taken. */
#include "case.h"

typedef int call(int);

NOINLINE call *pick(int n, int m)
{
	OPAQUE(n);
	call *plus = [](int x) { return x + 1; };
#ifdef NEW
	call *square = [](int x) { return x * x; };
#endif
	call *twice = [](int x) { return x * 2; };

#ifdef NEW
	return n % 3 == 2 ? square : n % 3 ? plus : twice;
#else
	return n % 2 ? plus : twice;
#endif
}

extern "C" void step(int n)
{
	printf("%d", pick(n, 0)(n));
}
