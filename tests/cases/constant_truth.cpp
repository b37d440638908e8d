// changed: _Z5checki
/* What is true or false is no number that live data hold. */
#include "case.h"

struct Options {
#ifdef NEW
	static constexpr bool CHECKED = true;
#else
	static constexpr bool CHECKED = false;
#endif
	int limit;
};

Options options = { 4 };

NOINLINE int check(int n)
{
	OPAQUE(n);
	return Options::CHECKED && n > options.limit ? -1 : n;
}

void step(int n)
{
	options.limit = n / 2;
	printf("%d", check(n));
}
