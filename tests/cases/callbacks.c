// changed: set on_event
// new: on_new_event
// lines: 0 | 1 old:1 | 2 new:2 fresh:3 | 3 fresh:3 fresh:4 | 4 fresh:4 | 5 old:5 | 6 new:6 fresh:7 | 7 fresh:7 fresh:8
/*
 * Callbacks that old and new code store. A new function that live data calls lives on after the patch is taken
 * back, until old code stores its own again.
 */
#include "case.h"

/* Compilers that see all that is stored in a variable must not conclude anything from it: live data has more. */
static void (*volatile callback)(int);

__attribute__((noinline, used)) void on_event(int n)
{
	OPAQUE(n);
#ifdef NEW
	printf(" new:%d", n);
#else
	printf(" old:%d", n);
#endif
}

#ifdef NEW
static void on_new_event(int n)
{
	OPAQUE(n);
	printf(" fresh:%d", n);
}
#endif

NOINLINE void set(int n)
{
	OPAQUE(n);
#ifdef NEW
	callback = on_new_event;
	callback(n + 1);
#else
	callback = on_event;
#endif
}

void step(int n)
{
	printf("%d", n);
	void (*call)(int) = callback;

	if (call)
		call(n);
	set(n);
}
