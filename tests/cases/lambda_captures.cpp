// changed: _Z6acceptP4Connii _ZNSt17_Function_handlerIFiiEZ6acceptP4ConniiEUliE_E10_M_managerERSt9_Any_dataRKS5_St18_Manager_operation _ZNSt17_Function_handlerIFiiEZ6acceptP4ConniiEUliE_E9_M_invokeERKSt9_Any_dataOi
// refused: type-layout lambda in accept
/* A handler that old code stored has no room for what the new one captures. */
#include "case.h"
#include <functional>
#include <vector>

struct Conn {
	int id, total;
};

static std::vector<std::function<int(int)>> handlers;
static Conn conn = { 1, 0 };

NOINLINE void accept(Conn *c, int base, int limit)
{
	OPAQUE(limit);
	long width = base + 1, height = base + 2;

#ifdef NEW
	handlers.push_back([c, width, height, limit](int x) {
		c->total += x * width + height;
		return c->total > limit ? limit : c->total;
	});
#else
	handlers.push_back([c, width, height](int x) {
		c->total += x * width + height;
		return c->total;
	});
#endif
}

NOINLINE int fire(int x)
{
	int sum = 0;
	for (auto &handler : handlers)
		sum += handler(x);
	return sum;
}

void step(int n)
{
	if (handlers.empty())
		accept(&conn, 1, 30);
	printf("%d", fire(n));
}
