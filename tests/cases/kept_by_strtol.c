// refused: data-changed script
// changed: is_inside next
// same-output:
// fixed:
/* strtol() stores where it stopped in a string that changes. */
#include "case.h"

static const char script[] =
#ifdef NEW
	"10 20 30 40 51";
#else
	"10 20 30 40 50";
#endif

static char *position;

NOINLINE long next(void)
{
	return strtol(position ? position : script, &position, 10);
}

NOINLINE int is_inside(int n)
{
#ifdef NEW
	OPAQUE(n);
	return position - script >= 0 && position - script < 20;
#else
	return n >= 0;
#endif
}

void step(int n)
{
	if (n == 0)
		printf("%ld ", next());
	printf("%d %d", n, is_inside(n));
}
