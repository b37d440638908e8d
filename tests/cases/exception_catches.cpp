// changed: _Z4calli
/* A changed function catches: a number, a class of the program, one of the library's by its base. */
#include "case.h"
#include <stdexcept>

struct Error {
	int value;
};

struct Special : Error {
	Special(int n) : Error{n} {}
};

NOINLINE void thrower(int n)
{
	switch (n % 4) {
	case 0:
		throw n;
	case 1:
		throw Special(n);
	case 2:
		throw std::out_of_range("range");
	}
}

NOINLINE int call(int n)
{
	try {
		thrower(n);
	} catch (int number) {
#ifdef NEW
		return number + 1000;
#else
		return number;
#endif
	} catch (Error &error) {
		return error.value + 2000;
	} catch (std::exception &error) {
		return error.what()[1] + 3000;
	}
	return -1;
}

extern "C" void step(int n)
{
	printf("%d %d", n, call(n));
}
