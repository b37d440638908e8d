// changed: _Z3sumii
/* The same with a template of the program's own, and a guard that runs a lambda at the end. */
#include "case.h"

static const int *volatile values = (const int[]){ 1, 2, 3, 4 };
static int calls, last;

template <class F> static inline void each(F f)
{
	for (int i = 0; i < 4; i++)
		f(values[i]);
}

template <class F> struct Guard {
	F f;
	explicit Guard(F f) : f(f) {}
	~Guard() { f(); }
};

template <class F> static inline Guard<F> guard(F f)
{
	return Guard<F>(f);
}

NOINLINE int sum(int n, int m)
{
	int total = snprintf(nullptr, 0, "%d", m);

	OPAQUE(m);
#ifdef NEW
	auto end = guard([&] { calls++, last = n + m; });
	each([&](int x) { total += x * n + m; });
#else
	auto end = guard([&] { calls++, last = n; });
	each([&](int x) { total += x * n; });
#endif
	return total;
}

void step(int n)
{
	int total = sum(n, 3);
	printf("%d %d %d", total, calls, last);
}
