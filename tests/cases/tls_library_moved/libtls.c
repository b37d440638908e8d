#ifdef NEW
__thread long before[3] = { 9, 8, 7 };
#endif
__thread int exported = 4;
static __thread int last, count = 7;

int last_of(void)
{
	return last;
}

int f(int n)
{
	int result = last * 10 + ++count;

	last = n + exported++;
#ifdef NEW
	return result * 2 + exported;
#else
	return result;
#endif
}
