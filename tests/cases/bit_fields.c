// changed: f
/* Bit fields and 128-bit arithmetic. */
#include "case.h"

static struct { unsigned mode : 3, count : 11, flag : 1; } state = { 5, 100, 0 };

NOINLINE long f(int n)
{
	__int128 wide = (__int128)n << 70;

	state.count += n;
#ifdef NEW
	state.flag ^= state.mode == 5;
	state.flag ^= 1;
	return (long)(wide >> 60) / 7 + state.count * 3 + state.flag;
#else
	return (long)(wide >> 61) % 7 + state.count + state.flag;
#endif
}

void step(int n)
{
	printf("%ld", f(n));
}
