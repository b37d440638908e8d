// refused: ambiguous-reference
// changed: sum
// removed: between_of
/* A loop ends at the end of one variable, where another one begins that was somewhere else. */
#define ENDS
#include "start_of_moved_variable.c"
