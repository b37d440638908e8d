#ifdef NEW
int count;
#endif

int second(int n)
{
#ifdef NEW
	if (n < 6)
		count++;
	return n < 6 ? count < 10 : 0;
#else
	(void)n;
	return 0;
#endif
}
