static __thread int last;
#ifdef NEW
static __thread int calls;
#endif

int f(int n)
{
	last += n;
#ifdef NEW
	return last + ++calls;
#else
	return last;
#endif
}
