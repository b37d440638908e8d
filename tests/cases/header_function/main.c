// changed: next next
/* A static function of a header with a static local variable: each file has its own of both. */
#include "../case.h"
#include "next.h"

int other(int n);

void step(int n)
{
	printf("%d %d", next(n), other(n));
}
