// changed: f
// flags: -mtls-dialect=gnu2
// only: gcc
/* Thread-local variables of a library through TLS descriptors. */
#include "../case.h"

int f(int n);
int last_of(void);

void step(int n)
{
	printf("%d %d", f(n), last_of());
}
