// changed: exported hidden protected
/* A library's functions and variables of all visibilities. */
#include "../case.h"

int exported(int n);
int protected(int n);
extern int variable;

void step(int n)
{
	variable += n;
	printf("%d %d", exported(n), protected(n));
}
