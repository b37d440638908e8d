// changed: f
/* The target has a text twice: alone, and at the beginning of a list. Its begin and its end have to be those of one. */
#include "case.h"

static NOINLINE int hash(const char *from, const char *end)
{
	int sum = 1;

	OPAQUE(from);
	for (; from < end; from++)
		sum = sum * 7 + *from;
	return sum;
}

static NOINLINE int list(const char *each)
{
	int sum = 0;

	OPAQUE(each);
	for (; *each; each += __builtin_strlen(each) + 1)
		sum = sum * 3 + *each;
	return sum;
}

static NOINLINE int f(int n)
{
	OPAQUE(n);
#ifdef NEW
	if (n > 100)
		return -1;
	return list("-smp\0") * 2 + hash("-smp", "-smp" + 4) + n;
#else
	return list("-smp\0") + hash("-smp", "-smp" + 4) + n;
#endif
}

static NOINLINE int g(int n)
{
	OPAQUE(n);
	return hash("q", "q" + 1) + list("w\0e\0") + n;
}

void step(int n)
{
	printf("%d %d", f(n), g(n));
}
