// changed: weak
/* A weak function with a default, and one that nobody defines. */
#include "case.h"

int nobody(int n) __attribute__((weak));

__attribute__((weak, noinline)) int weak(int n)
{
	OPAQUE(n);
#ifdef NEW
	return nobody ? nobody(n) : n * 3;
#else
	return nobody ? nobody(n) : n;
#endif
}

void step(int n)
{
	printf("%d", weak(n));
}
