// changed: _Z6answeriPFviE
/* A library throws, catches, and is passed by exceptions of its caller and for it. */
#include "../case.h"
#include "throws.h"

static void callback(int n)
{
	if (n % 2)
		throw n;
}

extern "C" void step(int n)
{
	int result;

	try {
		result = answer(n, callback);
	} catch (Error &error) {
		result = -error.value;
	} catch (int number) {
		result = -1000 - number;
	}
	printf("%d %d", n, result);
}
