// changed: f
// refused: thread-local calls
/* The library has a new thread-local variable without an initial value, which new code uses. */
#include "../case.h"

int f(int n);

void step(int n)
{
	printf("%d", f(n));
}
