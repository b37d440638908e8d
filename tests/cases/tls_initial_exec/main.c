// changed: f
// flags: -ftls-model=initial-exec
/* Thread-local variables of a library, local and exported, in the initial-exec model. */
#include "../case.h"

int f(int n);
int last_of(void);

void step(int n)
{
	printf("%d %d", f(n), last_of());
}
