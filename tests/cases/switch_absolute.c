// fixed:
// changed: f
/* A jump table of addresses: one more case, and an unchanged function with its own. */
#include "case.h"

NOINLINE int g(int n, int x)
{
	switch (n) {
	case 0: return x + 3;
	case 1: return x * 7;
	case 2: return x - 9;
	case 3: return x ^ 0x55;
	case 4: return x / 3;
	case 5: return x << 2;
	default: return -1;
	}
}

NOINLINE int f(int n, int x)
{
	switch (n) {
	case 0: return g(x, 5);
	case 1: return x * 11;
	case 2: return x - 13;
	case 3: return g(1, x);
	case 4: return x / 2;
	case 5: return x | 64;
#ifdef NEW
	case 6: return x * x;
	case 7: return g(2, x) + 1;
#endif
	default: return -2;
	}
}

void step(int n)
{
	printf("%d %d %d", f(n, n + 20), f(7 - n, n), g(n, n));
}
