// changed: name
/* A table of strings that a switch becomes: clang makes it hold distances from its own start. */
#include "case.h"

NOINLINE static const char *name(int n)
{
	switch (n) {
	case 0: return "zero";
	case 1: return "one";
	case 2: return "two";
#ifdef NEW
	case 3: return "THREE";
	case 4: return "four!";
	case 5: return "five";
	case 6: return "six more";
#else
	case 3: return "three";
	case 4: return "four";
	case 5: return "five";
#endif
	default: return "many";
	}
}

void step(int n)
{
	printf("%s %s", name(n % 7), name(n));
}
