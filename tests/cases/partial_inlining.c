// changed: f.part.0
/* gcc splits a function into a quick head that callers get, and a rest (.part). */
#include "case.h"

static int last;

static void f(int n)
{
	if (n % 2)
		return;
	last += n;
#ifdef NEW
	printf("new %d ", last);
#else
	printf("old %d ", last);
#endif
	for (int i = 0; i < n; i++)
		printf("%d,", i);
	last++;
	printf(" %d ", last * 2);
	fflush(stdout);
	printf("end ");
}

NOINLINE void first(int n)
{
	f(n);
	printf("first ");
}

NOINLINE void second(int n)
{
	f(n + 1);
	printf("second ");
}

void step(int n)
{
	first(n);
	second(n);
}
