// changed: f
// lines: 0 | 1 | 2:11 | 3:23 | 4 | 5 | 6:36 | 7:50
/* New static and global variables, initialised and not: they start when the patch comes, and rest while it is away. */
#include "case.h"

#ifdef NEW
static int started = 10;
int sum;
#endif

NOINLINE void f(int n)
{
#ifdef NEW
	static int calls;

	calls++;
	sum += started + calls;
	printf("%d:%d", n, sum);
#else
	printf("%d", n);
#endif
}

void step(int n)
{
	f(n);
}
