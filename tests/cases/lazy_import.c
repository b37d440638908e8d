// changed: f
// flags: -Wl,-z,lazy
/* New code is the first to call an import, whose slot has not been filled yet. */
#include "case.h"
#include <string.h>

NOINLINE int f(const char *text)
{
#ifdef NEW
	return (int)strcspn(text, "3") + 10;
#else
	return text[0] == 'x' ? (int)strcspn(text, "x") : 1;
#endif
}

void step(int n)
{
	char text[16];

	snprintf(text, sizeof text, "%d", n * 37 + 100);
	printf("%d", f(text));
}
