	.text
	.globl twice_plus
	.type twice_plus, @function
twice_plus:
	push %rbx
	mov %edi, %ebx
	call *%rsi
	lea (%rax, %rbx, 2), %eax
	pop %rbx
	ret
	.size twice_plus, . - twice_plus

	/* In the linker's view a call through the procedure linkage table, of an own function. */
	.globl through
	.type through, @function
through:
	sub $8, %rsp
	call f@PLT
	add $8, %rsp
	neg %eax
	ret
	.size through, . - through
	.section .note.GNU-stack, "", @progbits
