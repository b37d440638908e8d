__attribute__((noinline)) inline int clamp(int n)
{
	static int calls;

#ifdef NEW
	return (n > 3 ? 3 : n) * 10 + calls++;
#else
	return (n > 4 ? 4 : n) * 10 + calls++;
#endif
}
