// changed: f
// flags: -ftls-model=initial-exec
/* Thread-local variables of a library, local and exported, in the initial-exec model. */
#include "../tls_descriptors/main.c"
