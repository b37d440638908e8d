// changed: f make
// refused: type-layout struct live
/* The type of the live objects is changed, and reached only through a cast. */
#include "case.h"

struct live {
	int id;
#ifdef NEW
	long added;
#endif
	long tail;
};

static void *stored;

NOINLINE void *make(int n)
{
	struct live *live = calloc(1, sizeof(*live));

	live->id = n;
#ifdef NEW
	live->added = n;
#endif
	live->tail = n * 7;
	return live;
}

NOINLINE long f(void *p)
{
	OPAQUE(p);
#ifdef NEW
	return ((struct live *)p)->tail + ((struct live *)p)->added;
#else
	return ((struct live *)p)->tail;
#endif
}

void step(int n)
{
	if (!stored)
		stored = make(1);
	printf("%d %ld", n, f(stored));
}
