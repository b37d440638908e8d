// changed: name
// refused: data-changed names
/* A named table of strings, which clang makes one of distances: `reltable.name.names`. */
#include "case.h"

NOINLINE static const char *name(unsigned n)
{
	static const char *const names[] = {
#ifdef NEW
		"zero", "ONE", "two", "three and more", "four",
#else
		"zero", "one", "two", "three", "four",
#endif
	};

	return names[n % 5];
}

void step(int n)
{
	printf("%s %s", name(n), name(n * 3 + 1));
}
