// changed: f
// flags: -ftls-model=local-dynamic -Wl,--emit-relocs
/* The library has a new thread-local variable before the others, which are reached in the local-dynamic model, with the relocations that the linker kept. */
#include "../tls_descriptors/main.c"
