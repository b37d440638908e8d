// changed: f
/* A member of a struct on the stack changes by as much as the lines moved, and the function's name goes along. */
#include "case.h"

struct values {
	int a[6];
	int last;
};

NOINLINE int sum(struct values values, const char *name)
{
	return values.last + (name[0] == 'f');
}

#ifdef NEW
#line 11
#else
#line 10
#endif
NOINLINE int f(int n)
{
	struct values values = {{0}};
	values.last =
#ifdef NEW
		17;
#else
		14;
#endif
	OPAQUE(n);
	return n + sum(values, __func__);
}

void step(int n)
{
	printf("%d", f(n));
}
