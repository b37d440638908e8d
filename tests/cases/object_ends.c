// changed: sum
/* Loops up to an object's end, and from the middle of one: the addresses may be those of the next object. */
#include "case.h"

static int before[4] = { 1, 2, 3, 4 };
int numbers[6] = { 10, 20, 30, 40, 50, 60 };
static int behind[4] = { 5, 6, 7, 8 };

NOINLINE int plain(int n)
{
	int total = 0;

	for (int *p = behind; p < behind + 4; p++)
		total += *p += n;
	for (int *p = before; p < before + 4; p++)
		total += *p -= n;
	return total;
}

NOINLINE int sum(int n)
{
	int total = n;

	for (int *p = numbers; p < numbers + 6; p++)
		total += *p;
	for (int *p = numbers + 5; p >= numbers + 2; p--)
		*p += n;
#ifdef NEW
	for (int *p = behind + 1; p != behind + 4; p++)
		total += 1000 * *p;
#endif
	return total;
}

void step(int n)
{
	printf("%d %d", sum(n), plain(n));
}
