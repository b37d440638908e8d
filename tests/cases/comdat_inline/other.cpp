#include "clamp.h"

int other(int n)
{
	return clamp(n + 1) + 1000;
}
