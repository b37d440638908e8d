// changed: f
/* Two pointers that are stored at once: an unnamed constant that holds pointers and is read as a whole. */
#include "case.h"

static const char *names[2];
static const char *other[2];

NOINLINE void f(const char **to)
{
	OPAQUE(to);
#ifdef NEW
	to[0] = "gamma";
	to[1] = "delta";
#else
	to[0] = "alpha";
	to[1] = "beta";
#endif
}

void step(int n)
{
	const char **to = n & 1 ? names : other;

	f(to);
	printf("%s %s %d", to[0], to[1], n);
}
