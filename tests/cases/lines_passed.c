// line-only: asserting erring reporting
// same-output:
/* Line numbers that are passed on in several ways, and never seen. */
#include "case.h"
#include <assert.h>

int limit = 1000;
int reported;
const char *volatile where;
volatile int number;

NOINLINE void error_internal(int *error, const char *file, int line, const char *function)
{
	where = file;
	where = function;
	number = line;
	*error = 1;
}

NOINLINE static void default_report(const char *file, int line)
{
	where = file;
	number = line;
	reported++;
}

void (*report)(const char *file, int line) = default_report;

#ifdef NEW
#line 100
#endif
/* The calls of several assertions may share their end. */
NOINLINE int asserting(int n)
{
	assert(n < limit);
	OPAQUE(n);
	assert(n < limit + 1);
	OPAQUE(n);
	assert(n < limit + 2);
	OPAQUE(n);
	return n;
}

NOINLINE int erring(int n)
{
	int error = 0;

	if (n & 1)
		error_internal(&error, __FILE__, __LINE__, __func__);
	if (n & 2)
		error_internal(&error, __FILE__, __LINE__, __func__);
	return error + n;
}

NOINLINE int reporting(int n)
{
	report(__FILE__, __LINE__);
	return n + reported;
}

void step(int n)
{
	printf("%d %d %d", asserting(n), erring(n), reporting(n));
}
