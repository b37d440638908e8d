static int (*volatile registered)(const int *);
static int table[3] = {1, 2, 3};

#ifdef NEW
#define check check_size
#endif
static __attribute__((noinline)) int check(const int *p)
{
	return p[0] + p[2];
}

int first(int n)
{
	if (!registered)
		registered = check;
	return registered(table) + n;
}
