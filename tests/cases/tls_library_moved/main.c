// changed: f last_of
// refused: thread-local .tdata
// refused: thread-local
/* The library has a new thread-local variable before the others. */
#include "../case.h"

int f(int n);
int last_of(void);

void step(int n)
{
	printf("%d %d", f(n), last_of());
}
