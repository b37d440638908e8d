// changed: put_be.constprop.0 run
// refused: ambiguous-reference sent
/* The bytes of a number are written from its end on, where a new variable begins. */
#include "case.h"
#include <stdint.h>

#ifdef NEW
static uint64_t sent;
#endif
static uint64_t reply;

static NOINLINE void put_be(unsigned char *end, uint64_t value)
{
	for (int i = 0; i < 8; i++) {
		*--end = value;
		value >>= 8;
	}
}

static NOINLINE void run(int n)
{
	OPAQUE(n);
#ifdef NEW
	sent++;
	put_be((unsigned char *)(&reply + 1), n + 1000);
	if (sent > 100)
		abort();
#else
	put_be((unsigned char *)(&reply + 1), n);
#endif
}

void step(int n)
{
	run(n);
	printf("%ld", (long)__builtin_bswap64(reply));
}
