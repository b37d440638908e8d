// changed: f
// flags: -fstack-protector-all -D_FORTIFY_SOURCE=2
/* Canaries at a fixed place of the thread, and checked versions of library functions. */
#include "case.h"
#include <string.h>

NOINLINE int f(int n)
{
	char text[32];

#ifdef NEW
	snprintf(text, sizeof text, "%d%d", n, n + 1);
#else
	snprintf(text, sizeof text, "%d", n);
#endif
	return (int)strlen(text) * 100 + atoi(text);
}

void step(int n)
{
	printf("%d", f(n));
}
