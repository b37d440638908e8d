// changed: f
/* Data of the C library that the target did not use. */
#include "case.h"

extern char **environ;

NOINLINE int f(int n)
{
	OPAQUE(n);
#ifdef NEW
	return environ != NULL ? n + 10 : -1;
#else
	return n;
#endif
}

void step(int n)
{
	printf("%d", f(n));
}
