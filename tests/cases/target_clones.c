// changed: f.default f.avx2
// only: gcc
/* A function in a version for each kind of processor, chosen at start. */
#include "case.h"

__attribute__((target_clones("avx2", "default"), noinline)) int f(const int *numbers, int n)
{
	int sum = 0;

	for (int i = 0; i < 64; i++)
#ifdef NEW
		sum += numbers[i] * n + i;
#else
		sum += numbers[i] + n;
#endif
	return sum;
}

void step(int n)
{
	int numbers[64];

	for (int i = 0; i < 64; i++)
		numbers[i] = i * n;
	printf("%d", f(numbers, n));
}
