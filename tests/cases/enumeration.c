// changed: f g
// refused: type-layout enum colour
/* The values of an enumeration change: live data may hold one. */
#include "case.h"

enum colour {
#ifdef NEW
	WHITE,
#endif
	RED,
	GREEN,
	BLUE,
};

NOINLINE int f(int n)
{
	OPAQUE(n);
	return n % 3 == 0 ? RED : n % 3 == 1 ? GREEN : BLUE;
}

NOINLINE const char *g(enum colour colour)
{
	OPAQUE(colour);
	return colour == RED ? "red" : colour == GREEN ? "green" : colour == BLUE ? "blue" : "white";
}

void step(int n)
{
	int colour = f(n);

	printf("%d %s", colour, g(colour));
}
