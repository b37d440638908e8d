// changed: f
/* Wide strings and a float constant of the same section sizes. */
#include "case.h"
#include <wchar.h>

NOINLINE const wchar_t *f(int n)
{
	OPAQUE(n);
#ifdef NEW
	return n % 2 ? L"new odd" : L"even";
#else
	return n % 2 ? L"odd" : L"even";
#endif
}

NOINLINE const wchar_t *g(int n)
{
	OPAQUE(n);
	return n % 2 ? L"odd" : L"very even";
}

void step(int n)
{
	printf("%ls %ls", f(n), g(n));
}
