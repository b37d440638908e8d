// changed: f
// new: count_up
// flags: -fPIC -ftls-model=local-dynamic -Wl,--emit-relocs
// pie:
/* The same in the local-dynamic model. */
#include "tls_moved_threads.c"
