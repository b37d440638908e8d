// changed: _Z5clampi
// flags: -fno-exceptions
/* An inline function that both files have a copy of changes. */
#include "../case.h"
#include "clamp.h"

int other(int n);

extern "C" void step(int n)
{
	printf("%d %d", clamp(n), other(n));
}
