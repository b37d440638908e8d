// changed: f
// flags: -Wl,-z,pack-relative-relocs
/* Pointers in data are told to the dynamic linker in a packed form (DT_RELR). */
#include "case.h"

static int apples = 3, pears = 50;
static const char *const old_names[] = { "one", "two", "three" };
static int *const places[] = { &apples, &pears };
#ifdef NEW
static const char *const new_names[] = { "alpha", "beta", "gamma" };
#define names new_names
#else
#define names old_names
#endif

NOINLINE const char *f(int n)
{
	const char *const *list = names;

	OPAQUE(list);
	*places[n % 2] += n;
	return list[n % 3];
}

NOINLINE const char *g(int n)
{
	const char *const *list = old_names;

	OPAQUE(list);
	return list[n % 3];
}

void step(int n)
{
	printf("%s %s %d %d", f(n), g(n), apples, pears);
}
