// changed: f
/* A length that changes by as much as the lines moved, passed to a call beside an assertion's. */
#include "case.h"
#include <assert.h>
#include <string.h>

char buffer[64];

NOINLINE void fill(char *b, int c, int n)
{
	memset(b, c, n);
}

#ifdef NEW
#line 12
#else
#line 10
#endif
NOINLINE int f(int n)
{
	assert(n < 1000);
	fill(buffer, 'x',
#ifdef NEW
	     18);
#else
	     14);
#endif
	return strlen(buffer);
}

void step(int n)
{
	memset(buffer, 0, sizeof buffer);
	printf("%d", f(n));
}
