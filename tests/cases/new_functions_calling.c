// changed: walk step
// new: even odd
/* New functions that call each other, the changed one, and unchanged code, also through a pointer. */
#include "case.h"

NOINLINE int unchanged(int n)
{
	OPAQUE(n);
	return n + 100;
}

NOINLINE int walk(int n);

#ifdef NEW
static int odd(int n);

static NOINLINE int even(int n)
{
	OPAQUE(n);
	return n <= 0 ? unchanged(n) : odd(n - 1) + 1;
}

static NOINLINE int odd(int n)
{
	int (*volatile again)(int) = n > 3 ? walk : even;

	OPAQUE(n);
	return n <= 0 ? unchanged(7) : again(n - 2);
}
#endif

NOINLINE int walk(int n)
{
	OPAQUE(n);
#ifdef NEW
	return even(n) * 2;
#else
	return unchanged(n);
#endif
}

void step(int n)
{
	printf("%d %d", walk(n), walk(n * 3));
}
