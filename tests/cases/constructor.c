// changed: begin
// refused: constructor begin
/* A function that ran before main() changes. */
#include "case.h"

static int level;

__attribute__((constructor)) static void begin(void)
{
#ifdef NEW
	level = 20 + rand() % 1;
#else
	level = 10 + rand() % 1;
#endif
}

void step(int n)
{
	printf("%d", level + n);
}
