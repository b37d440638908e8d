// changed: small mixed large
/* Structures returned in registers of both kinds and in memory. */
#include "case.h"

struct small { int a, b; };
struct mixed { double d; long l; };
struct large { long numbers[6]; };

#ifdef NEW
#define PLUS 100
#else
#define PLUS 1
#endif

NOINLINE struct small small(int n)
{
	OPAQUE(n);
	return (struct small){ n, n + PLUS };
}

NOINLINE struct mixed mixed(int n)
{
	OPAQUE(n);
	return (struct mixed){ n * 0.5 + PLUS, n - PLUS };
}

NOINLINE struct large large(int n, struct small by_value)
{
	OPAQUE(n);
	return (struct large){ { n, 2, by_value.a, by_value.b, n * PLUS, 6 } };
}

void step(int n)
{
	struct small s = small(n);
	struct mixed m = mixed(n);
	struct large l = large(n, s);

	printf("%d %d %g %ld %ld %ld %ld", s.a, s.b, m.d, m.l, l.numbers[0], l.numbers[3], l.numbers[4]);
}
