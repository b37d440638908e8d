// refused: ambiguous-reference
// changed: other price
/* A search begins at the end of an array, right before a constant that changes. */
#include "case.h"

struct rule {
	int min, price;
};

static const struct rule others[] = { { 1,
#ifdef NEW
	93
#else
	9
#endif
	}, { 5, 58 }, { 20, 30 } };

static const struct rule rules[] = { { 0, 100 }, { 10, 90 }, { 50, 75 }, { 100, 60 } };

NOINLINE int other(int n)
{
	OPAQUE(n);
	return others[n % 3].price;
}

NOINLINE int price(int n)
{
	const struct rule *rule = rules + 4;

	while (rule-- > rules)
		if (n * 10 >= rule->min)
			return rule->price;
	return -1;
}

void step(int n)
{
	printf("%d %d %d", n, other(n), price(n));
}
