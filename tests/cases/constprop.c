// changed: f g scale.constprop.0 step
/* gcc makes a copy for a constant argument (.constprop); new code passes another constant. */
#include "case.h"

static NOINLINE int scale(int n, int factor, int plus)
{
	int result = 0;

	for (int i = 0; i < factor; i++) {
		OPAQUE(n);
		result += n * i + plus;
	}
	return result;
}

NOINLINE int f(int n)
{
#ifdef NEW
	return scale(n, 4, 7);
#else
	return scale(n, 3, 7);
#endif
}

NOINLINE int g(int n)
{
	return scale(n + 1, 3, 7);
}

void step(int n)
{
	printf("%d %d", f(n), g(n));
}
