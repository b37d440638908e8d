// changed: f
/* The same name of the library, but another version of it. */
#include "case.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifdef NEW
__asm__(".symver realpath_used, realpath@GLIBC_2.3");
#else
__asm__(".symver realpath_used, realpath@GLIBC_2.2.5");
#endif
char *realpath_used(const char *path, char *resolved);

NOINLINE int f(const char *path)
{
	char *found = realpath_used(path, NULL);
	int result = found ? (int)strlen(found) : -errno;

	free(found);
	return result;
}

void step(int n)
{
	printf("%d", n + f("/"));
}
