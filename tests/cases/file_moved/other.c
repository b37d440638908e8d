#ifdef NEW
static int count = 5;

__attribute__((noinline)) int f(int n)
{
	return (count += n) * 2;
}
#else
int other;
#endif
