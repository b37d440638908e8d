// changed: handler
/* A signal handler that live data of the kernel leads to. */
#include "case.h"
#include <signal.h>

static volatile int got;

static void handler(int signal)
{
#ifdef NEW
	got = signal + 100;
#else
	got = signal;
#endif
}

void step(int n)
{
	static int installed;

	if (!installed++)
		signal(SIGUSR1, handler);
	raise(SIGUSR1);
	printf("%d %d", n, got);
}
