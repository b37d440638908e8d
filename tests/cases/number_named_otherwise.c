// changed: f g
/* Limits that change by as much as the lines moved, passed together with the name of a function or file. */
#include "case.h"

NOINLINE int least(const char *who, int limit, int n)
{
	OPAQUE(who);
	return n < limit ? n : limit;
}

#ifdef NEW
#line 12
#else
#line 10
#endif
NOINLINE int f(int n)
{
#ifdef NEW
	return least(__func__, 16, n * 10);
#else
	return least(__func__, 12, n * 10);
#endif
}

#ifdef NEW
#line 12
#else
#line 10
#endif
NOINLINE int g(int n)
{
#ifdef NEW
	return least("x.c", 16, n * 10);
#else
	return least("x.c", 12, n * 10);
#endif
}

void step(int n)
{
	printf("%d %d", f(n), g(n));
}
