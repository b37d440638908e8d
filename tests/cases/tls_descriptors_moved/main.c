// changed: f
// flags: -mtls-dialect=gnu2 -Wl,--emit-relocs
// only: gcc
/* The library has a new thread-local variable before the others, which are reached through TLS descriptors. */
#include "../tls_descriptors/main.c"
