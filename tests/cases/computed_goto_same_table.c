// changed: run
/* The labels stay where they are in the function, and only a number changes. */
#include "case.h"

NOINLINE int run(const unsigned char *code, int x)
{
	static void *const labels[] = { &&stop, &&add, &&twice };

	goto *labels[*code++];
add:
#ifdef NEW
	x += 10;
#else
	x += 11;
#endif
	goto *labels[*code++];
twice:
	x *= 2;
	goto *labels[*code++];
stop:
	return x;
}

void step(int n)
{
	static const unsigned char program[] = { 1, 2, 1, 2, 0 };

	printf("%d", run(program, n));
}
