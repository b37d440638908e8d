/* Multiboot 1 header and entry of the bare guest. */
#define MAGIC 0x1badb002
#define FLAGS 0

        .section .multiboot, "ax"
        .align 4
        .long MAGIC, FLAGS, -(MAGIC + FLAGS)

        .text
        .globl _start
_start: cli
        mov $stack_top, %esp
        call guest_main
1:      hlt
        jmp 1b

        .bss
        .align 16
        .skip 8192
stack_top:

        .section .note.GNU-stack, "", @progbits
