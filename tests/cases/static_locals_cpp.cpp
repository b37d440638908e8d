// changed: _Z1fii step
// refused: ambiguous-variable _ZZ1fiiE5count
// flags: -fno-exceptions
/* Static local variables of one name in one function; a new one before them renumbers them in their mangled names. */
#include "static_locals_same_function.c"
