// changed: before
/* A table of labels whose function only moved. */
#include "case.h"

NOINLINE int before(int n)
{
#ifdef NEW
	for (int i = 0; i < n; i++)
		n = n * 3 - i;
	printf("%d ", n);
	return n ^ 77;
#else
	return n + 1;
#endif
}

NOINLINE int run(const unsigned char *code, int x)
{
	static void *const labels[] = { &&stop, &&add, &&twice };

	goto *labels[*code++];
add:
	x += 10;
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

	printf("%d", run(program, before(n)));
}
