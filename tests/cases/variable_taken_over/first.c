#ifndef NEW
static int count;
#endif

int first(int n)
{
#ifndef NEW
	count += n + 50;
	if (count > 100000)
		return 1;
#endif
	(void)n;
	return 0;
}
