// changed: f
/* The library has a new thread-local variable before the others. */
#include "../tls_descriptors/main.c"
