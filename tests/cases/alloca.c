// changed: f
/* A frame of variable size, with a frame pointer. */
#include "case.h"
#include <alloca.h>
#include <string.h>

NOINLINE int f(int n)
{
	char *room = alloca(n * 16 + 16);
	int variable[n + 1];

	memset(room, n, n * 16 + 16);
	for (int i = 0; i <= n; i++)
		variable[i] = room[i] * i;
#ifdef NEW
	return variable[n] + room[n * 16] + 1000;
#else
	return variable[n] + room[n * 16];
#endif
}

void step(int n)
{
	printf("%d", f(n));
}
