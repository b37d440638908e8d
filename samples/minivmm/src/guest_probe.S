/* Guest: the block device's configuration register, read within and past its end. */
#include "guest_abi.h"

	.code32
	.text
	.globl	read_identity, probe

/*
 * Block configuration register. The index register is shared by all vCPUs, so they
 * take a lock for the pair of accesses.
 */
lock_config:
	movl	$1, %eax
	xchgl	%eax, config_lock
	testl	%eax, %eax
	jz	1f
	call	yield
	jmp	lock_config
1:	ret

/* ecx: number of bytes, edi: first index; bytes to the probe buffer, their sum in eax. */
read_config:
	call	lock_config
	pushl	%ebp
	leal	AREA_PROBE(%ebx), %esi
	xorl	%ebp, %ebp
1:	movl	%edi, %eax
	movl	$(PORT_BLOCK + BLOCK_CONFIG_INDEX), %edx
	outb	%al, %dx
	movl	$(PORT_BLOCK + BLOCK_CONFIG_DATA), %edx
	inb	%dx, %al
	movb	%al, (%esi)
	movzbl	%al, %eax
	addl	%eax, %ebp
	incl	%esi
	incl	%edi
	loop	1b
	movb	$0, (%esi)
	movl	%ebp, %eax
	popl	%ebp
	movl	$0, config_lock
	ret

/* The identity's text to the probe buffer, its sum in eax. */
read_identity:
	xorl	%edi, %edi
	movl	$BLOCK_IDENTITY_LEN, %ecx
	jmp	read_config

/* Reads the identity, which must stay what it was, then bytes that do not belong to it. */
probe:
	call	read_identity
	cmpl	AREA_IDENTITY_SUM(%ebx), %eax
	je	1f
	movl	$REPORT_IDENTITY_CHANGED, %edx
	call	report
	movl	$text_identity_changed, %esi
	call	print_line

1:	movl	$BLOCK_IDENTITY_LEN, %edi
	movl	$PROBE_LEN, %ecx
	call	read_config
	cmpl	$(PROBE_LEN * 0xff), %eax
	jne	2f

	movl	$REPORT_PROBE_REFUSED, %edx
	call	report
	call	lock_serial
	movl	$text_refused, %esi
	call	put_string
	jmp	unlock_serial

2:	movl	$REPORT_PROBE_LEAK, %edx
	call	report
	call	lock_serial
	movl	$text_leaked, %esi
	call	put_string
	leal	AREA_PROBE(%ebx), %esi
	call	put_string
	movl	$text_close_quote, %esi
	call	put_string
	jmp	unlock_serial

text_leaked:		.asciz	"guest probe: leaked \""
text_refused:		.asciz	"guest probe: refused (ff)\n"
text_identity_changed:	.asciz	"disk identity changed\n"

	.balign	4
config_lock:	.long	0
