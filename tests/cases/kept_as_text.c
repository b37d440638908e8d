// refused: data-changed script
// changed: choose is_inside
// same-output:
/* The address of a string that changes is printed with %p and read back. */
#include "case.h"

static const char script[] =
#ifdef NEW
	"10 20 30 40 51";
#else
	"10 20 30 40 50";
#endif

static char written[64];

NOINLINE void choose(int n)
{
	snprintf(written, sizeof written, "%p", script + n);
}

NOINLINE int is_inside(int n)
{
	char *read;

	OPAQUE(n);
	sscanf(written, "%p", (void **)&read);
#ifdef NEW
	return read - script >= 0 && read - script < 9 ? 7 : -1;
#else
	return script[n] > '9' ? n : 7;
#endif
}

void step(int n)
{
	if (n < 2)
		choose(n);
	printf("%d %d", n, is_inside(n));
}
