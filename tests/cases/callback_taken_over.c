// changed: check first second step
// new: check_size
// refused: ambiguous-function check
/* A registered callback is given another name, and a new function its old one: live data must not come to call that. */
#include "case.h"

static int (*volatile registered)(int);

#ifdef NEW
static NOINLINE int check_size(int n)
{
	OPAQUE(n);
	return n * 3 + 9;
}

static NOINLINE int check(int n)
{
	OPAQUE(n);
	return n > 1000 ? 1 : n + 2000;
}
#else
static NOINLINE int check(int n)
{
	OPAQUE(n);
	return n * 3 + 9;
}
#define check_size check
#endif

static NOINLINE int first(int n)
{
	if (!registered)
		registered = check_size;
	return registered(n);
}

static NOINLINE int second(int n)
{
	OPAQUE(n);
#ifdef NEW
	return check(n) + 1;
#else
	return n;
#endif
}

void step(int n)
{
	printf("%d %d", first(n), second(n));
}
