#define NOINLINE __attribute__((noinline))

int variable = 3;
__attribute__((visibility("hidden"))) int hidden_variable = 4;
__attribute__((visibility("protected"))) int protected_variable = 5;
static int local_variable = 6;

#ifdef NEW
#define FACTOR 2
#else
#define FACTOR 1
#endif

__attribute__((visibility("hidden"))) NOINLINE int hidden(int n)
{
	local_variable += n;
	return variable + hidden_variable++ * FACTOR + local_variable;
}

__attribute__((visibility("protected"))) NOINLINE int protected(int n)
{
	protected_variable += n;
	return protected_variable * FACTOR + hidden_variable;
}

NOINLINE int exported(int n)
{
	return hidden(n) - FACTOR * protected(n) + variable;
}
