// changed: name
/* Only the characters of a string change that a table of distances leads to. */
#include "case.h"

NOINLINE static const char *name(int n)
{
	switch (n) {
	case 0: return "zero";
	case 1: return "one";
	case 2: return "two";
#ifdef NEW
	case 3: return "THREE";
#else
	case 3: return "three";
#endif
	case 4: return "four";
	case 5: return "five";
	default: return "many";
	}
}

void step(int n)
{
	printf("%s", name(n));
}
