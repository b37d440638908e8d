// changed: nothing
// refused: entry-too-short nothing
/* A function of one byte with another one directly behind it: no jump has room. */
#include "../case.h"

int nothing(int n);
int behind(int n);

void step(int n)
{
	/* What the register holds that a returned number is in. */
	int result = n + 3;

	__asm__ volatile("call nothing" : "+a"(result) : "D"(n) : "memory", "cc");
	printf("%d %d", result, behind(n));
}
