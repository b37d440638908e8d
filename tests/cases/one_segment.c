// changed: f
// flags: -Wl,-z,noseparate-code
/* Code and read-only data share pages. */
#include "case.h"

/* Keeps the data in another page of the file than the ELF header. */
__attribute__((used)) const char filling[8192] = "filling";

NOINLINE const char *f(int n)
{
	OPAQUE(n);
#ifdef NEW
	return n % 3 ? filling : "old";
#else
	return n % 2 ? "old" : "other";
#endif
}

void step(int n)
{
	printf("%s", f(n));
}
