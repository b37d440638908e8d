// changed: step
// new: run
// removed: plain
/* A function that only the new build has, with a static table of labels. */
#include "case.h"

static const unsigned char program[] = { 1, 2, 3, 1, 2, 0 };

#ifdef NEW
NOINLINE static int run(const unsigned char *code, int x)
{
	static void *const labels[] = { &&stop, &&add, &&twice, &&negate };

	goto *labels[*code++];
add:
	x += 10;
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
#else
NOINLINE static int plain(const unsigned char *code, int x)
{
	OPAQUE(x);
	return x + *code;
}
#define run plain
#endif

void step(int n)
{
	printf("%d %d", run(program, n), run(program + 3, n));
}
