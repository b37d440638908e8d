// changed: helper f step
/* A caller keeps values in registers that the old callee leaves alone (-fipa-ra); the new one needs them. */
#include "case.h"

int tables[4][16];

static NOINLINE int helper(int n)
{
	int sum = n;

#ifdef NEW
	for (int i = 0; i < 16; i++) {
		int a = tables[0][i] + n, b = tables[1][i] - n, c = tables[2][i] ^ n, d = tables[3][i] | n;

		sum += a * b + c * d - a * c + b * d;
		tables[i & 3][i] = sum;
	}
#else
	OPAQUE(sum);
#endif
	return sum;
}

NOINLINE int f(int a, int b, int c, int d)
{
	int x = helper(a);

	return x * 2 + a * b - c * d + (b ^ c) + d;
}

void step(int n)
{
	printf("%d %d", f(n, n + 2, n + 3, n * 5), tables[n % 4][n]);
	for (int i = 0; i < 64; i++)
		tables[0][i % 16] = tables[1][i % 16] = tables[2][i % 16] = tables[3][i % 16] = n + i;
}
