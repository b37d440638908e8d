static int state = 100;

static __attribute__((noinline)) int work(int n)
{
	state += n;
#ifdef NEW
	return state * 2;
#else
	return state;
#endif
}

int other(int n)
{
	return work(n) + 1;
}
