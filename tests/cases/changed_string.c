// changed: f
/* Only the contents of a string change. */
#include "case.h"

NOINLINE const char *f(int n)
{
	OPAQUE(n);
#ifdef NEW
	return n ? "after" : "after zero";
#else
	return n ? "before" : "before zero";
#endif
}

void step(int n)
{
	printf("%s %d", f(n), n);
}
