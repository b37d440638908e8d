// changed: f
// flags: -static
// fixed:
/* The C library is part of the program, with its own assembly and IFUNCs. */
#include "case.h"
#include <string.h>

NOINLINE int f(const char *text)
{
#ifdef NEW
	return (int)strlen(text) * 10 + (strchr(text, '7') != NULL);
#else
	return (int)strlen(text) + (strchr(text, '5') != NULL);
#endif
}

void step(int n)
{
	char text[16];

	snprintf(text, sizeof text, "%d", n * 37 + 5);
	printf("%d", f(text));
}
