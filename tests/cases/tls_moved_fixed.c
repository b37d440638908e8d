// changed: f
// new: count_up
// fixed:
/* The same at a fixed address. */
#include "tls_moved_threads.c"
