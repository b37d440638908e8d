	.text
	/* A function of exactly this many bytes that adds a number to its argument or negates it. */
	.macro entry name, length
	.p2align 4
	.globl e\name
	.type e\name, @function
e\name:
	.if \length == 3
#ifdef NEW
	mov %edi, %eax
#else
	mov %esi, %eax
#endif
	ret
	.else
#ifdef NEW
	lea 2(%rdi), %eax
#else
	lea 1(%rdi), %eax
#endif
	.if \length > 4
	.nops \length - 4
	.endif
	ret
	.endif
	.size e\name, . - e\name
	.endm

	.irp name, 04, 05, 06, 07
	entry \name, \name
	.endr
	entry 03, 3
	entry 08, 8
	entry 09, 9
	.irp name, 10, 11, 12, 13, 14, 15, 16
	entry \name, \name
	.endr
	.p2align 4
	.section .note.GNU-stack, "", @progbits
