// refused: data-changed _ZTI7Further
// flags: -fno-exceptions -fno-pie -no-pie
// pie:
/* At a fixed address without the linker's relocations, where nothing tells the pointers of data from numbers. */
#include "class_base.cpp"
