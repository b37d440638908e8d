/* Guest: lines on the serial port. ebx is the vCPU's area. */
#include "guest_abi.h"

	.code32
	.text
	.globl	lock_serial, unlock_serial, put_char, put_string, print_line
	.globl	print_count, print_up, text_close_quote

/*
 * Serial output. Lines of different vCPUs must not mix: whoever prints holds the lock.
 */
lock_serial:
	movl	$1, %eax
	xchgl	%eax, serial_lock
	testl	%eax, %eax
	jz	1f
	call	yield
	jmp	lock_serial
1:	ret

unlock_serial:
	movl	$0, serial_lock
	ret

/* al: character; keeps all but edx. */
put_char:
	movl	$PORT_SERIAL, %edx
	outb	%al, %dx
	ret

/* esi: NUL-terminated text. */
put_string:
	movb	(%esi), %al
	testb	%al, %al
	jz	1f
	call	put_char
	incl	%esi
	jmp	put_string
1:	ret

/* eax: number, printed with at least six digits. */
put_decimal:
	xorl	%ecx, %ecx
	movl	$10, %edi
1:	xorl	%edx, %edx
	divl	%edi
	pushl	%edx
	incl	%ecx
	testl	%eax, %eax
	jnz	1b
	cmpl	$6, %ecx
	jb	1b
2:	popl	%eax
	addl	$'0', %eax
	call	put_char
	loop	2b
	ret

/* Starts the line "guest cpuN ". */
put_prefix:
	movl	$text_cpu, %esi
	call	put_string
	movl	AREA_CPU(%ebx), %eax
	addl	$'0', %eax
	call	put_char
	movb	$' ', %al
	jmp	put_char

/* esi: text of a line "guest cpuN TEXT". */
print_line:
	pushl	%esi
	call	lock_serial
	call	put_prefix
	popl	%esi
	call	put_string
	jmp	unlock_serial

print_count:
	call	lock_serial
	call	put_prefix
	movl	$text_count, %esi
	call	put_string
	movl	AREA_COUNT(%ebx), %eax
	call	put_decimal
	movb	$'\n', %al
	call	put_char
	jmp	unlock_serial

print_up:
	call	lock_serial
	call	put_prefix
	movl	$text_up, %esi
	call	put_string
	leal	AREA_PROBE(%ebx), %esi
	call	put_string
	movl	$text_close_quote, %esi
	call	put_string
	jmp	unlock_serial

text_cpu:		.asciz	"guest cpu"
text_count:		.asciz	"count="
text_up:		.asciz	"up, disk identity \""
text_close_quote:	.asciz	"\"\n"

	.balign	4
serial_lock:	.long	0
