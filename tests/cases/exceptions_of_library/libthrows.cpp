#include "throws.h"

#define NOINLINE __attribute__((noinline))

Error::~Error() {}

struct Hidden : Error {
	Hidden(int n) : Error(n) {}
};

static NOINLINE void check(int n)
{
	if (n % 3 == 0)
		throw Hidden(n);
	if (n % 3 == 1)
		throw Error(n);
}

int answer(int n, void (*callback)(int))
{
	try {
		check(n);
	} catch (Hidden &hidden) {
#ifdef NEW
		return hidden.value * 100;
#else
		return hidden.value * 10;
#endif
	}
	callback(n);
	return 1;
}
