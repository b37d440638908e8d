// changed: _Z3armii _ZZN8Callback3setIZ3armiiEUliE_EEvT_ENUlPviE_4_FUNES3_i
// refused: type-layout lambda in arm
// same-output:
/* A copy of a lambda in plain bytes, and a function beside it that knows how to call it. */
#include "case.h"
#include <new>

struct Callback {
	alignas(8) char bytes[32];
	int (*call)(void *, int);

	template <class F> void set(F f)
	{
		new (bytes) F(f);
		call = [](void *self, int x) { return (*(F *)self)(x); };
	}
};

static Callback stored;

NOINLINE void arm(int a, int b)
{
#ifdef NEW
	stored.set([b, a](int x) { return x + a * 1000 + b; });
#else
	stored.set([a, b](int x) { return x + a * 1000 + b; });
#endif
}

NOINLINE int fire(int x)
{
	return stored.call(stored.bytes, x);
}

void step(int n)
{
	if (!stored.call)
		arm(1, 2);
	printf("%d", fire(n));
}
