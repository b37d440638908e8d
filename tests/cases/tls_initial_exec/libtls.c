#include "../tls_descriptors/libtls.c"
