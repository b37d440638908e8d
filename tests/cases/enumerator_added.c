// changed: f g
/* A new enumerator behind the others. */
#include "case.h"

enum colour {
	RED,
	GREEN,
	BLUE,
#ifdef NEW
	WHITE,
#endif
};

NOINLINE int f(int n)
{
	OPAQUE(n);
#ifdef NEW
	return n % 3 == 0 ? RED : n % 3 == 1 ? GREEN : WHITE;
#else
	return n % 3 == 0 ? RED : n % 3 == 1 ? GREEN : BLUE;
#endif
}

NOINLINE const char *g(enum colour colour)
{
	OPAQUE(colour);
#ifdef NEW
	if (colour == WHITE)
		return "white";
#endif
	return colour == RED ? "red" : colour == GREEN ? "green" : "blue";
}

void step(int n)
{
	int colour = f(n);

	printf("%d %s", colour, g(colour));
}
