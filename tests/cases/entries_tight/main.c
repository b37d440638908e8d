// changed: e05 e06 e07 e08 e09 e10 e11 e12 e13 e14 e15 e16
/* Entries of functions of 5 to 16 bytes, one directly behind the other. */
#include "../case.h"

#define ENTRIES(each) each(05) each(06) each(07) each(08) each(09) each(10) each(11) each(12) each(13) each(14) \
	each(15) each(16)
#define DECLARE(length) int e##length(int n);
#define CALL(length) printf("%d ", e##length(n));

ENTRIES(DECLARE)

void step(int n)
{
	ENTRIES(CALL)
}
