// changed: f
// flags: -ftls-model=global-dynamic
/* The library has a new thread-local variable before the others, which are reached in the global-dynamic model. */
#include "../tls_descriptors/main.c"
