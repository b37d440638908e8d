// changed: _Z5innerii
// flags: -static
// fixed:
/* The unwinder is part of the program, which says nowhere in memory where its unwind tables are. */
#include "exceptions.cpp"
