// changed: step
// new: name
// removed: plain
/* The same in a function that only the new build has. */
#include "case.h"

#ifdef NEW
NOINLINE static const char *name(int n)
{
	switch (n) {
	case 0: return "zero";
	case 1: return "one";
	case 2: return "two";
	case 3: return "three";
	case 4: return "four";
	case 5: return "five";
	default: return "many";
	}
}
#else
NOINLINE static const char *plain(int n)
{
	OPAQUE(n);
	return n ? "some" : "none";
}
#define name plain
#endif

void step(int n)
{
	printf("%s", name(n));
}
