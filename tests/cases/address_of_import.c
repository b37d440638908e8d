// changed: f step
// same-output:
// fixed:
// refused: ambiguous-reference isupper
/* The address of a library's function at a fixed address: the executable's own stub, if the target had it. */
#include "case.h"
#include <ctype.h>

NOINLINE int (*f(int n))(int)
{
	OPAQUE(n);
#ifdef NEW
	return n & 1 ? isupper : NULL;
#else
	return NULL;
#endif
}

void step(int n)
{
	printf("%d %d", f(n) != f(n + 2), isupper(n) != 0);
}
