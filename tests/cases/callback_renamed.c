// changed: begin
// new: parse_checked
// removed: parse
// refused: ambiguous-function parse
/* A registered function is changed and given another name: live data goes on calling the old one. */
#include "case.h"

static int (*volatile registered)(int);

#ifdef NEW
static NOINLINE int parse_checked(int n)
{
	OPAQUE(n);
	return n > 3 ? 3 : n;
}
#define parse parse_checked
#else
static NOINLINE int parse(int n)
{
	OPAQUE(n);
	return n;
}
#endif

static NOINLINE void begin(void)
{
	registered = parse;
}

void step(int n)
{
	if (!registered)
		begin();
	printf("%d", registered(n));
}
