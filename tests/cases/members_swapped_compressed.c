// changed: f make
// same-output:
// flags: -gz
// refused: type-layout device
/* Two members of one type change places; debugging information in another form. */
#include "members_swapped.c"
