// changed: f
// image: program
/* A program is patched that uses functions and variables of its library, and the library calls it back. */
#include "../case.h"

extern int level;
extern const char *const names[];
int twice(int n);
int through(int (*call)(int), int n);

NOINLINE int f(int n)
{
#ifdef NEW
	level += twice(n);
	return through(twice, level) + names[1][0];
#else
	level += n;
	return through(twice, n) + names[0][0];
#endif
}

void step(int n)
{
	int before = level;

	printf("%d %d", f(n), through(abs, -n));
	level = before + n;
}
