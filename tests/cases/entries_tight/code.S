	.text
	/* A function of exactly this many bytes. */
	.macro entry name, length
	.globl e\name
	.type e\name, @function
e\name:
#ifdef NEW
	lea 2(%rdi), %eax
#else
	lea 1(%rdi), %eax
#endif
	.nops \length - 4
	ret
	.size e\name, . - e\name
	.endm

	.irp name, 05, 06, 07
	entry \name, \name
	.endr
	entry 08, 8
	entry 09, 9
	.irp name, 10, 11, 12, 13, 14, 15, 16
	entry \name, \name
	.endr
	.section .note.GNU-stack, "", @progbits
