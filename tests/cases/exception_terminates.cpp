// changed: _Z4calli
/* What a function must not throw ends the program, which a handler sees; it goes on by a jump here. */
#include "case.h"
#include <exception>
#include <setjmp.h>

static jmp_buf before;

NOINLINE int thrower(int n)
{
	OPAQUE(n);
	if (n % 2)
		throw n;
	return n;
}

NOINLINE int call(int n) noexcept
{
#ifdef NEW
	return thrower(n) * 3 + 1;
#else
	return thrower(n);
#endif
}

extern "C" void step(int n)
{
	std::set_terminate([] { longjmp(before, 1); });
	if (setjmp(before))
		printf("%d terminated", n);
	else
		printf("%d %d", n, call(n));
}
