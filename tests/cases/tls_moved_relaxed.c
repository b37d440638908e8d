// changed: f
// new: count_up
// flags: -fPIC -ftls-model=global-dynamic
// pie:
/* The same, compiled as for a library: the linker makes it local exec. */
#include "tls_moved_threads.c"
