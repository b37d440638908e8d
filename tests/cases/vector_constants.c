// changed: f
/* Constants that instructions want aligned to 16 and 32 bytes. */
#include "case.h"

typedef float quad __attribute__((vector_size(16)));
typedef int octet __attribute__((vector_size(32)));

NOINLINE float f(int n)
{
	quad q = { n, n + 1, n + 2, n + 3 };
	octet o = { n, 1, n, 2, n, 3, n, 4 };

#ifdef NEW
	q = q * (quad){ 1.5f, 2.5f, 3.5f, 4.5f } + (quad){ 1, 2, 3, 4 };
	o = o * (octet){ 1, 2, 3, 4, 5, 6, 7, 8 };
#else
	q = q * (quad){ 0.5f, 2.0f, 0.25f, 8.0f };
	o = o + (octet){ 8, 7, 6, 5, 4, 3, 2, 1 };
#endif
	return q[0] + q[1] + q[2] + q[3] + o[0] + o[5] + o[7];
}

void step(int n)
{
	printf("%.3f", f(n));
}
