// changed: f
/* A switch that becomes a table of values, and one of strings. */
#include "case.h"

NOINLINE const char *f(int n)
{
	switch (n) {
	case 0: return "zero";
	case 1: return "one";
	case 2: return "two";
#ifdef NEW
	case 3: return "drei";
	case 4: return "vier";
	case 5: return "one";
#else
	case 3: return "three";
	case 4: return "four";
#endif
	default: return "many";
	}
}

void step(int n)
{
	printf("%s", f(n));
}
