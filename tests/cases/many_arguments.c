// changed: f
/* Ten integers and ten floating arguments, in registers and on the stack. */
#include "case.h"

NOINLINE double f(int a, double p, long b, double q, char c, float r, short d, double s, int e, double t, long g,
		  double u, int h, double v, int i, double w, int j, double x, long k, double y)
{
	double sum = a + b * 2 + c * 3 + d * 4 + e * 5 + g * 6 + h * 7 + i * 8 + j * 9 + k * 10;

#ifdef NEW
	sum = -sum;
#endif
	return sum + p + q * 2 + r * 3 + s * 4 + t * 5 + u * 6 + v * 7 + w * 8 + x * 9 + y * 10;
}

void step(int n)
{
	printf("%.2f", f(n, 0.25, 2, n * 0.5, 3, 0.75f, 4, 1.25, 5, 1.5, n, 1.75, 7, 2, 8, 2.25, n + 9, 2.5, 10, n));
}
