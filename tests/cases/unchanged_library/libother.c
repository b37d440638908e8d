int level = 4;
const char *const names[] = { "first", "second" };

int twice(int n)
{
	return 2 * n;
}

int through(int (*call)(int), int n)
{
	return call(n) + call(n + 1);
}
