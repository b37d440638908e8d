// changed: total describe
/* Functions with a variable number of arguments, floating ones among them. */
#include "case.h"
#include <stdarg.h>

NOINLINE double total(const char *kinds, ...)
{
	va_list list;
	double sum = 0;

	va_start(list, kinds);
	for (; *kinds; kinds++)
		sum += *kinds == 'd' ? va_arg(list, double) : va_arg(list, int);
	va_end(list);
#ifdef NEW
	return sum * 2;
#else
	return sum;
#endif
}

__attribute__((format(printf, 1, 2), noinline)) void describe(const char *format, ...)
{
	va_list list;

#ifdef NEW
	fputs("new ", stdout);
#else
	fputs("old ", stdout);
#endif
	va_start(list, format);
	vprintf(format, list);
	va_end(list);
}

void step(int n)
{
	describe("%g %d %s %g", total("idididididi", n, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6), n, "text", n * 0.5);
}
