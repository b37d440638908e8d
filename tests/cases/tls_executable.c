// changed: f step
/* Thread-local variables of the executable keep their place and value: local exec. */
#include "case.h"

static __thread int count = 3;
static __thread int last;
__thread int shared;

NOINLINE int f(int n)
{
	count += n;
	shared++;
#ifdef NEW
	n += last * 100 + count + shared;
#else
	n += count;
#endif
	last = count;
	return n;
}

void step(int n)
{
	printf("%d %d %d", f(n), last, shared);
}
