// changed: _Z3armii _ZNSt17_Function_handlerIFiiEZ3armiiEUliE_E9_M_invokeERKSt9_Any_dataOi
// refused: type-layout lambda in arm
// same-output:
/* The same captures in another order: of the same size, and not the same. */
#include "case.h"
#include <functional>

static std::function<int(int)> stored;

NOINLINE void arm(int a, int b)
{
#ifdef NEW
	stored = [b, a](int x) { return x + a * 1000 + b; };
#else
	stored = [a, b](int x) { return x + a * 1000 + b; };
#endif
}

NOINLINE int fire(int x)
{
	return stored(x);
}

void step(int n)
{
	if (!stored)
		arm(1, 2);
	printf("%d", fire(n));
}
