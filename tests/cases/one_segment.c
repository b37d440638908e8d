// changed: f
// flags: -Wl,-z,noseparate-code
/* Code and read-only data share pages; the file is so short that its first bytes are mapped twice. */
#include "case.h"

NOINLINE const char *f(int n)
{
	OPAQUE(n);
#ifdef NEW
	return n % 3 ? "new" : "old";
#else
	return n % 2 ? "old" : "other";
#endif
}

void step(int n)
{
	printf("%s", f(n));
}
