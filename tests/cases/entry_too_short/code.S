	.text
	.globl nothing
	.type nothing, @function
nothing:
#ifdef NEW
	add $7, %eax
#endif
	ret
	.size nothing, . - nothing
	.globl behind
	.type behind, @function
behind:
	lea 7(%rdi), %eax
	shl $2, %eax
	ret
	.size behind, . - behind
	.section .note.GNU-stack, "", @progbits
