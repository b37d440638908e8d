// changed: make check
/* Live objects that old and new code make are of the same kind: the address of their table of operations. */
#include "case.h"

struct operations {
	int (*read)(int);
	const char *name;
};

static int read_file(int n)
{
	return n + 1;
}

static int read_pipe(int n)
{
	return n + 2;
}

static const struct operations file_operations = { read_file, "file" };
static const struct operations pipe_operations = { read_pipe, "pipe" };

static struct object {
	const struct operations *operations;
	int made;
} objects[8];

NOINLINE void make(int n)
{
	OPAQUE(n);
	objects[n].operations = n % 3 ? &file_operations : &pipe_operations;
#ifdef NEW
	objects[n].made = n + 100;
#else
	objects[n].made = n;
#endif
}

NOINLINE int check(int n)
{
	int files = 0;

	for (int i = 0; i <= n; i++)
		if (objects[i].operations == &file_operations)
			files++;
#ifdef NEW
	return -files;
#else
	return files;
#endif
}

void step(int n)
{
	make(n);
	printf("%d %d %s %d", check(n), objects[n].operations->read(n), objects[n].operations->name, objects[n].made);
}
