/*
 * The guest: 32-bit flat protected mode, no paging, no interrupts, no BIOS.
 * Every vCPU counts in its own area, prints the count, writes and verifies disk
 * sectors; vCPU 0 also probes the block device's configuration register.
 *
 * Keep to the instructions that softcpu.c knows; the entry point is the first byte.
 * Register convention: ebx is the vCPU's area everywhere; eax and edx are scratch.
 */
#include "guest_abi.h"

#define LINE_PERIOD 100000		/* timer ticks, which are microseconds */
#define DISK_PERIOD 20000
#define PROBE_PERIOD 250000

	.code32
	.text
	.globl	_start, read_ticks, yield, report
_start:
	movl	%eax, %ebx
	shll	$CPU_AREA_SHIFT, %ebx
	addl	$CPU_AREA_BASE, %ebx
	leal	CPU_AREA_SIZE(%ebx), %esp
	movl	%eax, AREA_CPU(%ebx)

	call	read_ticks
	movl	%eax, AREA_LAST_TICK(%ebx)
	movl	%eax, AREA_NEXT_LINE(%ebx)
	movl	%eax, AREA_NEXT_DISK(%ebx)
	movl	%eax, AREA_NEXT_PROBE(%ebx)
	call	read_identity
	movl	%eax, AREA_IDENTITY_SUM(%ebx)
	call	print_up

main_loop:
	incl	AREA_COUNT(%ebx)

	call	read_ticks
	movl	%eax, %edx
	subl	AREA_LAST_TICK(%ebx), %edx
	jns	1f
	movl	$REPORT_TIMER_BACKWARDS, %edx
	call	report
1:	movl	%eax, AREA_LAST_TICK(%ebx)

	subl	AREA_NEXT_LINE(%ebx), %eax
	js	2f
	movl	AREA_LAST_TICK(%ebx), %eax
	addl	$LINE_PERIOD, %eax
	movl	%eax, AREA_NEXT_LINE(%ebx)
	call	print_count

2:	movl	AREA_LAST_TICK(%ebx), %eax
	subl	AREA_NEXT_DISK(%ebx), %eax
	js	3f
	movl	AREA_LAST_TICK(%ebx), %eax
	addl	$DISK_PERIOD, %eax
	movl	%eax, AREA_NEXT_DISK(%ebx)
	call	disk_round

3:	cmpl	$0, AREA_CPU(%ebx)
	jne	4f
	movl	AREA_LAST_TICK(%ebx), %eax
	subl	AREA_NEXT_PROBE(%ebx), %eax
	js	4f
	movl	AREA_LAST_TICK(%ebx), %eax
	addl	$PROBE_PERIOD, %eax
	movl	%eax, AREA_NEXT_PROBE(%ebx)
	call	probe

4:	call	yield
	jmp	main_loop

/* Low half of the tick counter in eax; differences of it survive the wrap. */
read_ticks:
	movl	$(PORT_TIMER + TIMER_LOW), %edx
	inl	%dx, %eax
	ret

yield:
	movl	$PORT_YIELD, %edx
	outb	%al, %dx
	ret

/* edx: kind; keeps eax. */
report:
	pushl	%eax
	movl	%edx, %eax
	movl	$PORT_REPORT, %edx
	outb	%al, %dx
	popl	%eax
	ret
