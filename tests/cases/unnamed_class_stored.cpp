// changed: _Z10read_firstIZ3armiiEUt_EiPv _Z3armii
// refused: type-layout unnamed class in arm
// flags: -std=c++17
// same-output:
/* A class without a name has got to live data by a template. */
#include "case.h"
#include <vector>

struct Item {
	void *self;
	int (*read)(void *);
};

template <class T> static int read_first(void *self)
{
	return ((T *)self)->a;
}

static std::vector<Item> items;

template <class T> static void add(const T &value)
{
	items.push_back(Item{ new T(value), read_first<T> });
}

NOINLINE void arm(int a, int b)
{
#ifdef NEW
	struct {
		int b, a;
	} pair = { b, a };
#else
	struct {
		int a, b;
	} pair = { a, b };
#endif
	add(pair);
}

void step(int n)
{
	if (items.empty())
		arm(1, 2);
	printf("%d %d", n, items[0].read(items[0].self));
}
