// changed: counter
/* A table of variables and functions that a switch becomes: those of the target are meant. */
#include "case.h"

static int apples, pears, plums, figs;

NOINLINE static int *counter(int n)
{
	switch (n) {
	case 0: return &apples;
	case 1: return &pears;
#ifdef NEW
	case 2: return &figs;
	case 3: return &plums;
#else
	case 2: return &plums;
	case 3: return &figs;
#endif
	default: return &apples;
	}
}

void step(int n)
{
	apples += 1;
	pears += 10;
	plums += 100;
	figs += 1000;
	printf("%d %d", *counter(n % 4), *counter(2));
}
