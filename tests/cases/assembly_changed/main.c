// changed: asm_add
/* Hand-written assembly with type and size is a function like any other. */
#include "../case.h"

int asm_add(int a, int b);

void step(int n)
{
	printf("%d", asm_add(n, 5));
}
