// changed: f
// flags: -ftls-model=initial-exec
/* The library has a new thread-local variable before the others, which are reached in the initial-exec model. */
#include "../tls_descriptors/main.c"
