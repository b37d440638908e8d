// changed: f
/* errno is found through a function that the target imports. */
#include "case.h"
#include <errno.h>
#include <string.h>

NOINLINE const char *f(int n)
{
#ifdef NEW
	if (n % 2) {
		close(-1);
		return strerror(errno);
	}
	errno = EPERM;
#endif
	errno = n % 2 ? ENOENT : EINVAL;
	return strerror(errno);
}

void step(int n)
{
	if (n > 100)
		close(n);
	printf("%s", f(n));
}
