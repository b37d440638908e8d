#include "next.h"

int other(int n)
{
	return next(10 * n + 1);
}
