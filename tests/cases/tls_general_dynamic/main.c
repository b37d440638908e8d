// changed: f
// flags: -ftls-model=global-dynamic
/* Thread-local variables of a library, local and exported, in the global-dynamic model. */
#include "../case.h"

int f(int n);
int last_of(void);

void step(int n)
{
	printf("%d %d", f(n), last_of());
}
