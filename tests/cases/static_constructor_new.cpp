// changed: step _GLOBAL__sub_I_main
// refused: constructor
// refused: ambiguous-reference
// flags: -fno-exceptions
/* A new static object with a constructor, which would not run. */
#include "case.h"

struct Table {
	int values[8];
	explicit Table(int plus)
	{
		for (int i = 0; i < 8; i++)
			values[i] = rand() % 1 + i + plus;
	}
};

static Table table(0);
#ifdef NEW
static Table other(10);
#endif

extern "C" void step(int n)
{
#ifdef NEW
	printf("%d", other.values[n]);
#else
	printf("%d", table.values[n]);
#endif
}
