// changed: _Z3seti _Z3geti
// refused: type-layout constant Flags::WRITE
// same-output:
/* The bit of a flag, a constant of a class, moves; live flags have the old one. */
#include "case.h"

struct Flags {
#ifdef NEW
	static constexpr unsigned READ = 1, SYNC = 2, WRITE = 4;
#else
	static constexpr unsigned READ = 1, WRITE = 2;
#endif
	static constexpr bool CHECKED = true;
	unsigned bits;
};

Flags flags;

NOINLINE void set(int n)
{
	if (n == 0)
		flags.bits |= Flags::WRITE;
}

NOINLINE int get(int n)
{
	OPAQUE(n);
	return flags.bits & Flags::WRITE ? 7 + n : 8;
}

void step(int n)
{
	set(n);
	printf("%d", get(n));
}
