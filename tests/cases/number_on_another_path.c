// changed: f
/* A factor that changes by as much as the lines moved; on another path a file is named. */
#include "case.h"

NOINLINE int multiply(int a, int b)
{
	return a * b;
}

#ifdef NEW
#line 12
#else
#line 10
#endif
NOINLINE int f(int n)
{
	int s = multiply(n,
#ifdef NEW
			 17);
#else
			 13);
#endif
	if (n > 500)
		puts("see number_on_another_path.c");
	return s;
}

void step(int n)
{
	printf("%d", f(n + 1));
}
