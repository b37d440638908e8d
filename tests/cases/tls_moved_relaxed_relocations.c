// changed: f
// new: count_up
// flags: -fPIC -ftls-model=global-dynamic -Wl,--emit-relocs
// pie:
/* The same, with the relocations that the linker kept, as they were before it made code simpler. */
#include "tls_moved_threads.c"
