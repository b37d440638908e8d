// changed: f
/* References into the middle of structures and before the start of arrays. */
#include "case.h"

static struct {
	char name[12];
	struct { int x, y; } points[8];
	double factor;
} state = { "state", { { 1, 2 }, { 3, 4 } }, 2.5 };

static int counts[26];

NOINLINE int f(const char *word)
{
	int total = 0;

	for (; *word; word++) {
		counts[*word - 'a']++;
		total += counts[*word - 'a'] * 3;
	}
	state.points[3].y += total;
#ifdef NEW
	total += state.points[3].y + state.name[2] + (int)(state.factor * 10);
#else
	total += state.points[3].y;
#endif
	return total;
}

void step(int n)
{
	char word[8];

	snprintf(word, sizeof word, "%c%c%c", 'a' + n, 'b' + n, 'a');
	printf("%d", f(word));
}
