// changed: f
// flags: -ftls-model=local-dynamic
/* The library has a new thread-local variable before the others, which are reached in the local-dynamic model. */
#include "../tls_descriptors/main.c"
