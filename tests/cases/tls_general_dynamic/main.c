// changed: f
// flags: -ftls-model=global-dynamic
/* Thread-local variables of a library, local and exported, in the global-dynamic model. */
#include "../tls_descriptors/main.c"
