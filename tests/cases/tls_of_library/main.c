// changed: f step
// image: program
/* The executable uses a thread-local variable of a library: initial exec. */
#include "../case.h"

extern __thread int exported;
int next(void);

NOINLINE int f(int n)
{
	exported += n;
#ifdef NEW
	return exported * 2;
#else
	return exported;
#endif
}

void step(int n)
{
	printf("%d %d", f(n), next());
}
