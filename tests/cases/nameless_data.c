// refused: data-changed
// changed: f
/* An instruction reads an assembler's word that has no symbol. */
#include "case.h"

#ifdef NEW
__asm__(".section mydata,\"aw\"\n.balign 8\n.Lmine: .quad 6\n.text");
#else
__asm__(".section mydata,\"aw\"\n.balign 8\n.Lmine: .quad 5\n.text");
#endif

NOINLINE long f(void)
{
	long value;

	__asm__ volatile("mov .Lmine(%%rip),%0" : "=r"(value));
	return value;
}

void step(int n)
{
	printf("%d %ld", n, f());
}
