/* The assembled guest as read-only data of the VMM. */
#ifdef __CET__
#include <cet.h>	/* or the linker would drop the IBT/SHSTK marks of the whole program */
#endif
	.section .rodata
	.balign	16
	.globl	guest_blob, guest_blob_end
	.type	guest_blob, @object
guest_blob:
	.incbin	"obj/guest.bin"
guest_blob_end:
	.size	guest_blob, . - guest_blob
	.section .note.GNU-stack, "", @progbits
