// changed: _Z5orderii _ZSt13__adjust_heapIN9__gnu_cxx17__normal_iteratorIPiSt6vectorIiSaIiEEEEliNS0_5__ops15_Iter_comp_iterIZ5orderiiEUliiE_EEEvT_T0_SC_T1_T2_ _ZSt16__insertion_sortIN9__gnu_cxx17__normal_iteratorIPiSt6vectorIiSaIiEEEENS0_5__ops15_Iter_comp_iterIZ5orderiiEUliiE_EEEvT_SB_T0_ _ZSt16__introsort_loopIN9__gnu_cxx17__normal_iteratorIPiSt6vectorIiSaIiEEEElNS0_5__ops15_Iter_comp_iterIZ5orderiiEUliiE_EEEvT_SB_T0_T1_
/* What a lambda captures changes, but none outlives the function that it stands in. */
#include "case.h"
#include <algorithm>
#include <vector>

static std::vector<int> values{ 5, 3, 9, 1, 7, 2, 8, 4, 6, 0, 15, 13, 19, 11, 17, 12, 18, 14, 16, 10 };

NOINLINE int order(int n, int m)
{
	std::vector<int> sorted = values;

	OPAQUE(m);
#ifdef NEW
	std::sort(sorted.begin(), sorted.end(), [n, m](int a, int b) { return (a ^ n) + m > (b ^ n) + m; });
#else
	std::sort(sorted.begin(), sorted.end(), [n](int a, int b) { return (a ^ n) < (b ^ n); });
#endif
	return sorted[3];
}

void step(int n)
{
	printf("%d", order(n, n));
}
