// changed: f
/* Data of the C library that both builds use: a stream and the environment. */
#include "case.h"
#include <string.h>

extern char **environ;

NOINLINE int f(int n)
{
	if (n < 0)
		fprintf(stderr, "%d\n", n);
#ifdef NEW
	return environ != NULL && stderr != NULL && fileno(stderr) == 2 ? n * 2 : -1;
#else
	return environ != NULL ? n : -1;
#endif
}

NOINLINE int g(void)
{
	return fileno(stderr);
}

void step(int n)
{
	printf("%d %d", f(n), g());
}
