// changed: leaf top step
/* The same through an unchanged function between caller and callee. */
#include "case.h"

int memory[8];

static NOINLINE int leaf(int n)
{
#ifdef NEW
	int a = memory[0] + n, b = memory[1] * n, c = memory[2] ^ n, d = memory[3] + 3 * n, e = memory[4] - n;

	return a * b + c * d + e * a + b * c * d + e;
#else
	OPAQUE(n);
	return n + 1;
#endif
}

static NOINLINE int middle(int n)
{
	return leaf(n) + 3;
}

NOINLINE int top(int a, int b, int c, int d)
{
	int x = middle(a);

	return x + a * 2 + b * 3 + c * 5 + d * 7;
}

void step(int n)
{
	for (int i = 0; i < 8; i++)
		memory[i] = n * i + 1;
	printf("%d %d", top(n, n + 1, n + 2, n + 3), memory[n]);
}
