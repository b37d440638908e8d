	.text
	.globl asm_add
	.type asm_add, @function
asm_add:
	mov %edi, %eax
	add %esi, %eax
#ifdef NEW
	shl $1, %eax
#else
	add $100, %eax
#endif
	ret
	.size asm_add, . - asm_add
	.section .note.GNU-stack, "", @progbits
