// changed: walk.constprop.0
/* Lists of strings are literals with NULs in them, and compilers may take nothing but the end of one. */
#include "case.h"
#include <string.h>

static NOINLINE int walk(const char *from, const char *end)
{
	int sum = 0;

	OPAQUE(from);
	for (; from < end; from += strlen(from) + 1)
		sum = sum * 31 + (int)strlen(from) + from[0];
	return sum;
}

static NOINLINE int f(int n)
{
	OPAQUE(n);
#ifdef NEW
	return walk("a=1\0bb=2\0ccc=3", "a=1\0bb=2\0ccc=3" + 15) + n;
#else
	return walk("a=1\0bb=2", "a=1\0bb=2" + 9) + n;
#endif
}

void step(int n)
{
	printf("%d", f(n));
}
