// changed: f
// refused: variable-size values
// refused: type-layout values
/* A live array has more elements. */
#include "case.h"

#ifdef NEW
int values[8];
#else
int values[4];
#endif

NOINLINE int f(int n)
{
	int *value = &values[n % (sizeof values / sizeof *values)];

	return *value += n + 1;
}

void step(int n)
{
	printf("%d", f(n));
}
