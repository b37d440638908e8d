#ifdef NEW
static __attribute__((noinline)) int check(long n)
{
	__asm__("");
	return n > 1000 ? 1 : (int)n * 3 + 1000;
}
#else
#define check(n) (n)
#endif

int second(int n)
{
	return check(n) + check(n + 1);
}
