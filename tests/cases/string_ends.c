// changed: f g h
/* Code takes the end of a string, or two places inside of one: they stay in the same string. */
#include "case.h"

NOINLINE void out(const char *from, const char *to)
{
	while (from != to)
		putchar(*from++);
}

NOINLINE int hash(const char *from, const char *to, int n)
{
	OPAQUE(n);
	while (from != to)
		n = n * 31 + *from++;
	return n;
}

NOINLINE void f(int n)
{
	OPAQUE(n);
	out("alpha", "alpha" + 5);
	out("-m", "-m" + 2);
#ifdef NEW
	out("7", "7" + 1);
	out("beta", "beta" + 4);
#endif
}

/* No string changes. */
NOINLINE int g(int n)
{
	OPAQUE(n);
#ifdef NEW
	n += 1000;
#endif
	return hash("gamma", "gamma" + 5, n) + hash("be", "be" + 2, n);
}

NOINLINE int h(int n)
{
#ifdef NEW
	const char *text = "delta;epsilon";
#else
	const char *text = "delta;eta";
#endif

	OPAQUE(n);
	return hash(text + 3, text + 7, n);
}

void step(int n)
{
	printf("%d ", n);
	f(n);
	printf(" %d %d", g(n), h(n));
}
