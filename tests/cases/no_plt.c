// changed: f
// flags: -fno-plt
/* Calls of imports through their slots, without stubs. */
#include "case.h"
#include <string.h>

NOINLINE int f(const char *text)
{
#ifdef NEW
	return (int)strlen(text) * 10 + atoi(text + 1);
#else
	return (int)strlen(text) + atoi(text);
#endif
}

void step(int n)
{
	char text[16];

	snprintf(text, sizeof text, "%d", n * 37 + 100);
	printf("%d", f(text));
}
