// changed: f
/* A jump table of distances: one more case, and an unchanged function with its own. */
#include "switch_absolute.c"
