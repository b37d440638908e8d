// changed: asm_add
// refused: not-a-function asm_add
/* Hand-written assembly without a size: nobody knows where it ends. */
#include "../case.h"

int asm_add(int a, int b);

void step(int n)
{
	printf("%d", asm_add(n, 5));
}
