// refused: ambiguous-reference
// changed: other price
/* A search begins at the end of a variable array, right before a new variable. */
#include "case.h"

struct rule {
	int min, price;
};

#ifdef NEW
static struct rule others[3];
#endif
static struct rule rules[4];

NOINLINE int other(int n)
{
	OPAQUE(n);
#ifdef NEW
	others[n % 3].min++;
	return others[n % 3].price;
#else
	return n;
#endif
}

NOINLINE void fill(void)
{
	for (int i = 0; i < 4; i++) {
		rules[i].min = i * 15;
		rules[i].price = 100 - i * 10;
	}
	__asm__ volatile("" : : : "memory");
}

NOINLINE int price(int n)
{
	struct rule *rule = rules + 4;

	while (rule-- > rules)
		if (n * 10 >= rule->min)
#ifdef NEW
			return rule->price + 1000;
#else
			return rule->price;
#endif
	return -1;
}

void step(int n)
{
	fill();
	printf("%d %d %d", n, other(n), price(n));
}
