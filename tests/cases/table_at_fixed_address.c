// flags: -fno-pie -no-pie
// refused: data-changed table
// pie:
/* A table that only live data leads to, at a fixed address. */
#include "case.h"

static const int table[4] = {1, 2, 3,
#ifdef NEW
	40
#else
	4
#endif
};
const int *live = table;

void step(int n)
{
	printf("%d", live[3] + n);
}
