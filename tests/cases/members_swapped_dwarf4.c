// changed: f make
// same-output:
// flags: -gdwarf-4
// refused: type-layout device
/* Two members of one type change places; debugging information in another form. */
#include "members_swapped.c"
