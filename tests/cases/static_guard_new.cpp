// changed: _Z4nextv step
// flags: -fno-exceptions
// lines: 2 | 4 | 1107 | 1209 | 10 | 12 | 1315 | 1417
/* Static local variables that only the new build makes at the first call, each with its guard. */
#include "case.h"

static int made, calls;

struct Counter {
	int count;
	NOINLINE explicit Counter(int start) : count(start + made++) {}
};

struct Big {
	long words[6];
	Counter *counter;
	explicit Big(Counter *counter) : counter(counter)
	{
		for (long &word : words)
			OPAQUE(word);
	}
};

NOINLINE int other()
{
	static Counter counter(0);

	return counter.count++;
}

NOINLINE int next()
{
	calls++;
#ifdef NEW
	static Counter first(1000);
	static Big second(&first);
	static Counter third(made);

	second.counter->count += 100;
	return first.count + third.count * 0 + calls;
#else
	OPAQUE(made);
	return calls;
#endif
}

extern "C" void step(int)
{
	int count = other();

	printf("%d", next() + count + 1);
}
