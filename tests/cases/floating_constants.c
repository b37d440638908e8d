// changed: f step
/* Float, double and long double constants, shared ones too. */
#include "case.h"

NOINLINE double g(double x)
{
	return x * 3.25 + 0.1;
}

NOINLINE double f(double x, float y, long double z)
{
#ifdef NEW
	return x * 3.25 + y * 0.3f - (double)(z * 1.1L) + (x < 3 ? -x : x);
#else
	return x * 3.5 + y * 0.3f - (double)(z * 1.2L);
#endif
}

void step(int n)
{
	printf("%.6f %.6f", f(n, n + 0.5f, n + 0.25L), g(n));
}
