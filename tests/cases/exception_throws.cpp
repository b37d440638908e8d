// changed: _Z5checki _Z5againi
// new: _ZNSt7__cxx119to_stringEi
/* A changed function throws, another one catches and throws again; old code catches both. */
#include "case.h"
#include <stdexcept>
#include <string>

static int seen;

NOINLINE int check(int n)
{
#ifdef NEW
	if (n % 2)
		throw std::invalid_argument("odd number " + std::to_string(n));
#else
	if (n % 2)
		throw std::invalid_argument("odd");
#endif
	return n;
}

NOINLINE int again(int n)
{
	try {
		return check(n) + 1;
	} catch (std::invalid_argument &) {
#ifdef NEW
		seen += 10;
#else
		seen += 1;
#endif
		throw;
	}
}

extern "C" void step(int n)
{
	seen = 0;
	try {
		printf("%d ", again(n));
	} catch (std::logic_error &error) {
		printf("%s ", error.what());
	}
	printf("%d", seen);
}
