// refused: data-changed script
// changed: find show
// same-output:
// flags: -fno-plt
/* A string that is searched by a tail call through a slot (-fno-plt); the place found is stored. */
#include "case.h"
#include <string.h>

static const char script[] =
#ifdef NEW
	"10 20 30 40 51";
#else
	"10 20 30 40 50";
#endif

static const char *current;
volatile int names[16] = { 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9 };

NOINLINE char *find(int wanted)
{
	OPAQUE(wanted);
	return strchr(script, wanted);
}

NOINLINE void show(int n)
{
	OPAQUE(n);
#ifdef NEW
	unsigned long at = current - script;

	printf("%d ", at < 16 ? names[at] : -1);
#else
	printf("%d ", current - script < 16 ? names[current - script] : -1);
#endif
}

void step(int n)
{
	if (n < 2)
		current = find('3');
	show(n);
	printf("%d", n);
}
