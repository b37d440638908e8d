// changed: f
// new: twice thrice
/* A new read-only table of pointers: to new strings, new functions, an old function and an old variable. */
#include "case.h"

int variable = 5;

NOINLINE int once(int n)
{
	OPAQUE(n);
	return n + variable++;
}

#ifdef NEW
static NOINLINE int twice(int n)
{
	return 2 * n;
}

static NOINLINE int thrice(int n)
{
	return 3 * n;
}

static const struct {
	const char *name;
	int (*call)(int);
	int *value;
} table[] = {
	{ "once", once, &variable },
	{ "twice", twice, &variable },
	{ "thrice", thrice, NULL },
};
#endif

NOINLINE void f(int n)
{
	printf("%d", once(n));
#ifdef NEW
	int i = n % 3;

	OPAQUE(i);
	printf(" %s %d %d", table[i].name, i ? table[i].call(n) : (table[i].call == once), table[i].value ? *table[i].value : -1);
#endif
}

void step(int n)
{
	f(n);
}
