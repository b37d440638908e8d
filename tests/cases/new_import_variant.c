// changed: f
/* A new import that the library offers in several variants, one for each processor (IFUNC). */
#include "case.h"
#include <string.h>

NOINLINE int f(const char *text)
{
	OPAQUE(text);
#ifdef NEW
	return (int)strlen(text) + 10;
#else
	return text[0];
#endif
}

void step(int n)
{
	char text[16];

	snprintf(text, sizeof text, "%d", n * 37 + 100);
	printf("%d", f(text));
}
