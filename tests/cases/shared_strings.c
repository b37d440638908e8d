// changed: f
/* Strings that changed and unchanged code share, whole and as the tail of a longer one. */
#include "case.h"

NOINLINE const char *unchanged(int n)
{
	OPAQUE(n);
	return n % 2 ? "the common string" : "only here";
}

NOINLINE const char *f(int n)
{
	OPAQUE(n);
#ifdef NEW
	switch (n % 4) {
	case 0: return "the common string";
	case 1: return "common string";
	case 2: return "a new string";
	default: return "string";
	}
#else
	return n % 2 ? "the common string" : "an old string";
#endif
}

void step(int n)
{
	printf("%s, %s, %d", f(n), unchanged(n), f(n) == f(n));
}
