// changed: check first second
// new: check_size
// refused: ambiguous-function check
/* A registered callback is given another name, and another file gets a function of the old name: live data must not come
 * to call that one. */
#include "../case.h"

int first(int n);
int second(int n);

void step(int n)
{
	printf("%d %d", first(n), second(n));
}
