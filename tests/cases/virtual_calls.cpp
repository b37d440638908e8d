// changed: _ZN6Circle4areaEi
// flags: -fno-exceptions -fno-rtti
/* A virtual function changes: vtables of live objects lead to the old one's address. */
#include "case.h"

struct Shape {
	virtual int area(int n) = 0;
	virtual int corners() { return 0; }
};

struct Square : Shape {
	int area(int n) override { return n * n; }
	int corners() override { return 4; }
};

struct Circle : Shape {
	int radius = 2;
	int area(int n) override;
};

int Circle::area(int n)
{
#ifdef NEW
	radius += 1;
	return radius-- * n * 3;
#else
	return radius * n * 3;
#endif
}

static Square square;
static Circle circle;
static Shape *volatile shapes[] = { &square, &circle };

extern "C" void step(int n)
{
	Shape *shape = shapes[n % 2];

	printf("%d %d", shape->area(n), shape->corners());
}
