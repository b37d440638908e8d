// changed: f last_of
// refused: thread-local .tdata
// refused: thread-local
/* The library has a new thread-local variable before the others. */
#include "../tls_descriptors/main.c"
