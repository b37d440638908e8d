// changed: set get
// refused: type-layout struct packet
// only: gcc
// same-output:
/* The members of a structure change their byte order, and nothing else. */
#include "case.h"

#ifdef NEW
#define ORDER __attribute__((scalar_storage_order("big-endian")))
#else
#define ORDER
#endif

struct ORDER packet {
	int length;
	int kind;
};
static struct packet packet;

NOINLINE void set(int n)
{
	OPAQUE(n);
	packet.length = n;
	packet.kind = n + 1;
}

NOINLINE int get(void)
{
	return packet.length * 10 + packet.kind;
}

void step(int n)
{
	if (n % 4 == 0)
		set(n);
	printf("%d", get() + n);
}
