// changed: _GLOBAL__sub_I_main
// refused: constructor
// lines: 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7
// flags: -fno-exceptions
/* The constructor of a static object has run: no patch changes what it made. */
#include "case.h"

struct Table {
	int values[8];
	Table()
	{
		for (int i = 0; i < 8; i++)
#ifdef NEW
			values[i] = rand() % 1 + i * i;
#else
			values[i] = rand() % 1 + i;
#endif
	}
};

static Table table;

extern "C" void step(int n)
{
	printf("%d", table.values[n]);
}
