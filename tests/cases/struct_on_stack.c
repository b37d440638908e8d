// changed: f
// new: fill
/* A structure that only new code has, on the stack. */
#include "case.h"

#ifdef NEW
struct request { int kind; long values[3]; };

static NOINLINE void fill(struct request *request, int n)
{
	request->kind = n % 2;
	for (int i = 0; i < 3; i++)
		request->values[i] = n * i;
}
#endif

NOINLINE long f(int n)
{
	OPAQUE(n);
#ifdef NEW
	struct request request;

	fill(&request, n);
	return request.kind * 100 + request.values[1] + request.values[2];
#else
	return n;
#endif
}

void step(int n)
{
	printf("%ld", f(n));
}
