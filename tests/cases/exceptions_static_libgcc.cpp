// changed: _Z5innerii
// flags: -static-libgcc -static-libstdc++
/* The unwinder is part of the program, the C library is not. */
#include "exceptions.cpp"
