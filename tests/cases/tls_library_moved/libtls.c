#ifdef NEW
__thread long before[3] = { 9, 8, 7 };
#endif
#include "../tls_descriptors/libtls.c"
