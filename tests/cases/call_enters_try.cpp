// changed: _Z4calli
/* A call moves into the try block: the instructions stay, the range that the handler covers grows. */
#include "case.h"

NOINLINE void first(int n)
{
	OPAQUE(n);
	if (n & 1)
		throw 1;
}

NOINLINE void second(int n)
{
	OPAQUE(n);
	if (n & 2)
		throw 2;
}

NOINLINE int call(int n)
{
#ifndef NEW
	first(n);
#endif
	try {
#ifdef NEW
		first(n);
#endif
		second(n);
	} catch (...) {
		return 5;
	}
	return 0;
}

extern "C" void step(int n)
{
	int result;

	try {
		result = call(n);
	} catch (...) {
		result = -1;
	}
	printf("%d %d", n, result);
}
