// changed: first second
// refused: ambiguous-variable count
// lines: 0 0 | 0 0 | 0 1 | 0 1 | 0 0 | 0 0 | 0 0 | 0 0
/* A static variable goes from one file, and another file gets a variable of its name: it begins with its own value. */
#include "../case.h"

int first(int n);
int second(int n);

void step(int n)
{
	int a = first(n);
	int b = second(n);

	printf("%d %d", a, b);
}
