// changed: f step
// refused: ambiguous-variable count
/* Static local variables of one name in one function; a new one before them renumbers them in their names. */
#include "case.h"

NOINLINE int f(int n, int m)
{
	OPAQUE(n);
#ifdef NEW
	if (m == 7) {
		static int count = 1000;

		return ++count;
	}
#endif
	if (m == 1) {
		static int count = 10;

#ifdef NEW
		count += 1;
		return (count += n - 1) + 1000;
#else
		return count += n;
#endif
	} else {
		static int count = 20;

		return count += 2 * n;
	}
}

void step(int n)
{
	printf("%d", f(n, 1));
	printf(" %d", f(n, 2));
#ifdef NEW
	if (n > 100)
		printf(" %d", f(n, 7));
#endif
}
