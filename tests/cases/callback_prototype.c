// changed: begin handle
// new: handler
// refused: type-layout handle
/* A registered function begins to return a structure, and a wrapper is registered in its place: live data holds the
 * function itself, and code that does not change calls it as before. */
#include "case.h"

static int (*volatile registered)(int);

static NOINLINE int dispatch(int n)
{
	return registered(n);
}

#ifdef NEW
struct result {
	long a, b, c;
};

static NOINLINE struct result handle(int n)
{
	OPAQUE(n);
	return (struct result){n, n + 1, n + 2};
}

static NOINLINE int handler(int n)
{
	return handle(n).b;
}
#else
static NOINLINE int handle(int n)
{
	OPAQUE(n);
	return n * 2;
}
#define handler handle
#endif

static NOINLINE void begin(void)
{
	registered = handler;
}

void step(int n)
{
	if (!registered)
		begin();
	printf("%d", dispatch(n));
}
