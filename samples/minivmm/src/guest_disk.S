/* Guest: disk requests and their verification. ebx is the vCPU's area. */
#include "guest_abi.h"

	.code32
	.text
	.globl	disk_round

/*
 * Writes a sector with new contents, reads it back into another buffer and compares
 * checksums. Nothing is done without a disk.
 */
disk_round:
	movl	$(PORT_BLOCK + BLOCK_CAPACITY), %edx
	inl	%dx, %eax
	testl	%eax, %eax
	jz	3f

	incl	AREA_DISK_ROUND(%ebx)
	movl	AREA_DISK_ROUND(%ebx), %eax
	andl	$(SECTORS_PER_CPU - 1), %eax
	movl	AREA_CPU(%ebx), %edx
	shll	$4, %edx			/* SECTORS_PER_CPU is 16 */
	addl	%edx, %eax
	movl	%eax, AREA_SECTOR(%ebx)

	call	fill_write_buffer
	movl	$BLOCK_OP_WRITE, %eax
	leal	AREA_WRITE_BUF(%ebx), %edi
	call	disk_request
	testl	%eax, %eax
	jnz	1f

	movl	$0, AREA_READ_BUF(%ebx)
	movl	$BLOCK_OP_READ, %eax
	leal	AREA_READ_BUF(%ebx), %edi
	call	disk_request
	testl	%eax, %eax
	jnz	1f

	leal	AREA_WRITE_BUF(%ebx), %esi
	call	checksum
	movl	%eax, %ebp
	leal	AREA_READ_BUF(%ebx), %esi
	call	checksum
	cmpl	%ebp, %eax
	jne	2f
	movl	$REPORT_DISK_VERIFIED, %edx
	jmp	report

1:	movl	$text_disk_error, %esi
	jmp	print_line

2:	movl	$REPORT_DISK_MISMATCH, %edx
	call	report
	movl	$text_disk_mismatch, %esi
	jmp	print_line

3:	ret

/* Contents depend on the round and on the sector's number. */
fill_write_buffer:
	movl	AREA_DISK_ROUND(%ebx), %eax
	shll	$8, %eax
	addl	AREA_SECTOR(%ebx), %eax
	leal	AREA_WRITE_BUF(%ebx), %esi
	movl	$(SECTOR_SIZE / 4), %ecx
1:	addl	$0x9e3779b9, %eax
	movl	%eax, (%esi)
	addl	$4, %esi
	loop	1b
	ret

/* esi: sector; checksum in eax. Doubling between the words makes their order matter. */
checksum:
	xorl	%eax, %eax
	movl	$(SECTOR_SIZE / 4), %ecx
1:	movl	%eax, %edx
	shrl	$31, %edx
	shll	$1, %eax
	orl	%edx, %eax
	xorl	(%esi), %eax
	addl	$4, %esi
	loop	1b
	ret

/* eax: operation, edi: buffer; the device's status in eax. */
disk_request:
	movl	%eax, (AREA_DESC + DESC_OP)(%ebx)
	movl	AREA_SECTOR(%ebx), %eax
	movl	%eax, (AREA_DESC + DESC_SECTOR)(%ebx)
	movl	%edi, (AREA_DESC + DESC_BUFFER)(%ebx)
	movl	$BLOCK_PENDING, (AREA_DESC + DESC_STATUS)(%ebx)
	leal	AREA_DESC(%ebx), %eax
	movl	$(PORT_BLOCK + BLOCK_DOORBELL), %edx
	outl	%eax, %dx
1:	movl	(AREA_DESC + DESC_STATUS)(%ebx), %eax
	cmpl	$BLOCK_PENDING, %eax
	jne	2f
	call	yield
	jmp	1b
2:	ret

text_disk_error:	.asciz	"disk request failed\n"
text_disk_mismatch:	.asciz	"disk checksum mismatch\n"
