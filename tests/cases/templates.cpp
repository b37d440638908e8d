// changed: _Z4foldIiET_PKS0_i _Z4foldIdET_PKS0_i
// flags: -fno-exceptions
/* A template changes, and with it each of its instances. */
#include "case.h"

template <typename T> NOINLINE T fold(const T *values, int count)
{
	T sum = 0;

	for (int i = 0; i < count; i++)
#ifdef NEW
		sum = sum * 2 + values[i];
#else
		sum = sum + values[i];
#endif
	return sum;
}

extern "C" void step(int n)
{
	int numbers[] = { n, 2, 3 };
	double others[] = { n * 0.5, 1.5, 2 };

	printf("%d %g", fold(numbers, 3), fold(others, 3));
}
