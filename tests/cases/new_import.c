// changed: f
/* New code calls a function of the library that the target never used. */
#include "case.h"

NOINLINE int f(const char *text)
{
	OPAQUE(text);
#ifdef NEW
	return (int)strtoul(text, NULL, 16);
#else
	return atoi(text);
#endif
}

void step(int n)
{
	char text[8];

	snprintf(text, sizeof text, "1%d", n);
	printf("%d", f(text));
}
