// changed: run
/* A threaded interpreter: a static table of labels. */
#include "case.h"

NOINLINE int run(const unsigned char *code, int x)
{
	static void *const labels[] = { &&stop, &&add, &&twice, &&negate };

	goto *labels[*code++];
add:
#ifdef NEW
	x += 10;
#else
	x += 1;
#endif
	goto *labels[*code++];
twice:
	x *= 2;
	goto *labels[*code++];
negate:
	x = -x;
	goto *labels[*code++];
stop:
	return x;
}

void step(int n)
{
	static const unsigned char program[] = { 1, 2, 3, 1, 2, 0 };

	printf("%d %d", run(program, n), run(program + 3, n));
}
