__thread int exported = 4;

int next(void)
{
	return ++exported;
}
