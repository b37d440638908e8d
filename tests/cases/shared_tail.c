// changed: f
/* Strings that end as another one does, before data that moves: only the string is theirs. */
#include "case.h"

NOINLINE static int length(const char *text, int n)
{
	OPAQUE(n);
	return text[0] + text[1] + n;
}

/* "s" is the tail of "%s", and nobody refers to what stands behind it. */
NOINLINE int g(int n)
{
	printf("%s ", n % 2 ? "REDIS" + 1 : "s");
	return length("s", n) + length("\1", n);
}

NOINLINE int h(int n)
{
	return length("%s", n) + length("x\1", n);
}

NOINLINE int f(int n)
{
#ifdef NEW
	n = n * 3 + 4;
#endif
	switch (n % 9) {
	case 0: return g(n) * 3;
	case 1: return h(n) + 4;
	case 2: return n ^ 0x55;
	case 3: return n / 7;
	case 4: return g(n + 1);
	case 5: return -n;
	case 6: return h(n) * 9;
	default: return n;
	}
}

void step(int n)
{
	printf("%d", f(n));
}
