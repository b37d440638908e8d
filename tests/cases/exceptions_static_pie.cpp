// changed: _Z5innerii
// flags: -static-pie
// pie:
/* The unwinder is part of a program that lies anywhere. */
#include "exceptions.cpp"
