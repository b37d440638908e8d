// changed: run
/* A label that is chosen without a table. */
#include "case.h"

NOINLINE int run(int n)
{
	void *const twice_label = &&twice;
	void *to = n % 3 ? twice_label : &&thrice;
	int x = n;

	OPAQUE(to);
	for (int i = 0; i < 3; i++) {
		goto *to;
twice:
		x = x * 2 + i;
		to = &&thrice;
		continue;
thrice:
#ifdef NEW
		x = x * 3 - i;
#else
		x = x * 3 + i;
#endif
		to = &&twice;
	}
	return x;
}

void step(int n)
{
	printf("%d", run(n));
}
