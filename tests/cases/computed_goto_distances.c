// changed: run
/* A threaded interpreter whose table holds distances between labels. */
#include "case.h"

NOINLINE int run(const unsigned char *code, int x)
{
	static const int labels[] = { &&stop - &&stop, &&add - &&stop, &&twice - &&stop, &&negate - &&stop };

	goto *(&&stop + labels[*code++]);
add:
#ifdef NEW
	x ^= x * 13 + 10;
#else
	x += 1;
#endif
	goto *(&&stop + labels[*code++]);
twice:
	x *= 2;
	goto *(&&stop + labels[*code++]);
negate:
	x = -x;
	goto *(&&stop + labels[*code++]);
stop:
	return x;
}

void step(int n)
{
	static const unsigned char program[] = { 1, 2, 3, 1, 2, 0 };

	printf("%d %d", run(program, n), run(program + 3, n));
}
