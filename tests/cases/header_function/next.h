static __attribute__((noinline)) int next(int n)
{
	static int count;

#ifdef NEW
	return (count += n) * 2;
#else
	return count += n;
#endif
}
