// changed: check_size log_it.constprop.0
// refused: ambiguous-variable last
// lines: 0 0 | 0 0 | 0 1 | 0 2 | 0 0 | 0 0 | 0 3 | 0 4
/* A static variable goes from one function, and another function gets one of its name: gcc calls both `last.0`. */
#include "case.h"

static NOINLINE int check_size(int n)
{
	OPAQUE(n);
#ifndef NEW
	static int last;

	last += n + 7;
	if (last > 1000000)
		return 1;
#endif
	return n > 1000;
}

static NOINLINE int log_it(int n)
{
	OPAQUE(n);
#ifdef NEW
	static int last;

	return ++last;
#else
	return 0;
#endif
}

void step(int n)
{
	int size = check_size(n);

	printf("%d %d", size, log_it(n));
}
