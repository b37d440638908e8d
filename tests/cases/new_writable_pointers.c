// changed: f
// new: other
// lines: 0 | 1 | 1:2 | 0:3 | 4 | 5 | 1:6 | 0:7
/* New writable data that holds pointers: a list that is linked with variables of the target. */
#include "case.h"

struct node {
	struct node *next;
	int (*call)(int);
};

static struct node first;
struct node *list = &first;

#ifdef NEW
static int other(int n)
{
	return n;
}

static struct node second = { &first, other };
static struct node *current = &second;
#endif

NOINLINE void f(int n)
{
#ifdef NEW
	printf("%d:%d", current == &second, second.call(n));
	current = current == &second ? second.next : &second;
#else
	printf("%d", list == &first ? n : -1);
#endif
}

void step(int n)
{
	f(n);
}
