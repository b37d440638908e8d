// changed: _ZN7Counter4nextEv step
// new: _ZN7Counter2byEv
// refused: data-changed _ZTV7Counter
// refused: type-layout struct Counter
// flags: -fno-exceptions -fno-rtti
/* A new virtual function: objects that live have the old vtable. */
#include "case.h"

struct Counter {
	int count = 0;
#ifdef NEW
	virtual int by();
#endif
	virtual int next();
};

#ifdef NEW
int Counter::by()
{
	return 5;
}
#endif

int Counter::next()
{
#ifdef NEW
	return count += by();
#else
	return count += 1;
#endif
}

static Counter counter;
static Counter *volatile pointer = &counter;

extern "C" void step(int n)
{
	printf("%d", pointer->next() + n);
}
