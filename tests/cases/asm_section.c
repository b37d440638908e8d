// changed: f
// refused: interior-reference f
/* Inline assembly puts addresses of its own instructions into a table. */
#include "case.h"

extern unsigned long __start_places[], __stop_places[];

NOINLINE int f(int n)
{
	__asm__ volatile("1: nop\n.pushsection places, \"aw\"\n.quad 1b\n.popsection");
#ifdef NEW
	return n + 2;
#else
	return n + 1;
#endif
}

void step(int n)
{
	printf("%d %d", f(n), __start_places[0] - (unsigned long)f < 16);
}
