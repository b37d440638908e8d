#include "../tls_library_moved/libtls.c"
