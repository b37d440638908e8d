// changed: f
/* An import is gone from the new build, and the slots of the others moved. */
#include "case.h"
#include <ctype.h>
#include <string.h>

NOINLINE int f(const char *text)
{
#ifdef NEW
	return strcspn(text, "5") * 10 + toupper(text[0]);
#else
	return strcspn(text, "5") + toupper(text[0]) + (strpbrk(text, "37") != NULL) * 1000;
#endif
}

void step(int n)
{
	char text[16];

	snprintf(text, sizeof text, "abc%d567", n);
	printf("%d", f(text));
}
