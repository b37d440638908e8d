// changed: _Z4calli
// flags: -std=c++14
/* A function says which types it throws; another one is turned into one of them. */
#include "case.h"
#include <exception>

NOINLINE void thrower(int n)
{
	OPAQUE(n);
	if (n % 3 == 0)
		throw n;
	if (n % 3 == 1)
		throw 2L;
}

NOINLINE int call(int n) throw(int, char)
{
	thrower(n);
#ifdef NEW
	return n * 2;
#else
	return n;
#endif
}

extern "C" void step(int n)
{
	std::set_unexpected([] { throw 'x'; });
	try {
		printf("%d %d", n, call(n));
	} catch (int) {
		printf("%d number", n);
	} catch (char) {
		printf("%d unexpected", n);
	}
}
