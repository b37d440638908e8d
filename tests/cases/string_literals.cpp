// changed: _Z4argsB5cxx11i _Z4widei
// new: _ZNSt7__cxx1112basic_stringIDsSt11char_traitsIDsESaIDsEE10_M_disposeEv _ZNSt7__cxx1112basic_stringIDsSt11char_traitsIDsESaIDsEE12_M_constructIPKDsEEvT_S8_St20forward_iterator_tag.isra.0 _ZNSt7__cxx1112basic_stringIwSt11char_traitsIwESaIwEE12_M_constructIPKwEEvT_S8_St20forward_iterator_tag.isra.0
/* Strings of C++ are made of a literal and its end, which gcc takes first. */
#include "case.h"
#include <string>
#include <vector>

NOINLINE std::vector<std::string> args(int n)
{
	std::vector<std::string> all;

	fputs(n > 100 ? "many " : "few ", stdout);
	all.push_back("one");
	all.push_back("");
	all.push_back("three");
#ifdef NEW
	all.push_back("alpha");
	all.push_back("2");
#endif
	all.push_back(std::to_string(n));
	return all;
}

NOINLINE size_t use(const std::wstring &a, const std::u16string &b)
{
	return a.size() * 100 + b.size() * 10 + (a.empty() ? 0 : a.back());
}

NOINLINE size_t wide(int n)
{
	size_t sum = n;

	OPAQUE(n);
	sum += use(L"alpha", u"be");
#ifdef NEW
	sum += use(L"x", u"yy7");
#endif
	return sum;
}

void step(int n)
{
	printf("%d %zu", n, wide(n));
	for (const std::string &one : args(n))
		printf(" %s", one.c_str());
}
