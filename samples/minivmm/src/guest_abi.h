/*
 * What the guest and the machine agree on: memory map, ports, descriptor layout.
 * Included by C and by guest.S, so it holds nothing but plain #defines.
 */
#ifndef MINIVMM_GUEST_ABI_H
#define MINIVMM_GUEST_ABI_H

/* Guest-physical memory. Every vCPU starts at GUEST_ENTRY with its index in eax. */
#define GUEST_RAM_SIZE 0x100000
#define GUEST_ENTRY 0x1000
#define CPU_AREA_BASE 0x10000
#define CPU_AREA_SHIFT 12
#define CPU_AREA_SIZE (1 << CPU_AREA_SHIFT)
#define MAX_CPUS 8

/* Layout of one vCPU's area; its stack grows down from the end of the area. */
#define AREA_COUNT 0x00
#define AREA_CPU 0x04
#define AREA_LAST_TICK 0x08
#define AREA_NEXT_LINE 0x0c
#define AREA_NEXT_DISK 0x10
#define AREA_NEXT_PROBE 0x14
#define AREA_DISK_ROUND 0x18
#define AREA_SECTOR 0x1c
#define AREA_IDENTITY_SUM 0x20
#define AREA_DESC 0x40
#define AREA_PROBE 0x80
#define AREA_WRITE_BUF 0x400
#define AREA_READ_BUF 0x600

/* 16550-like serial port: data and line status (always ready). */
#define PORT_SERIAL 0x3f8
#define SERIAL_LSR 5
#define SERIAL_LSR_READY 0x60

/* Timer: 64-bit count of microseconds since the machine started. */
#define PORT_TIMER 0x600
#define TIMER_LOW 0
#define TIMER_HIGH 4

/* A write tells the host that this vCPU has nothing urgent to do. */
#define PORT_YIELD 0x610

/* Block device. A doorbell write carries the guest-physical address of a descriptor. */
#define PORT_BLOCK 0x620
#define BLOCK_DOORBELL 0
#define BLOCK_CONFIG_INDEX 4
#define BLOCK_CONFIG_DATA 8
#define BLOCK_CAPACITY 12
#define BLOCK_IDENTITY_LEN 20
#define SECTOR_SIZE 512

#define DESC_OP 0
#define DESC_SECTOR 4
#define DESC_BUFFER 8
#define DESC_STATUS 12
#define BLOCK_OP_READ 0
#define BLOCK_OP_WRITE 1
#define BLOCK_OK 0
#define BLOCK_FAILED 1
#define BLOCK_PENDING 0xffffffff

/* How many sectors each vCPU writes and verifies, and so the smallest disk. */
#define SECTORS_PER_CPU 16
#define MIN_DISK_SECTORS (SECTORS_PER_CPU * MAX_CPUS)

/* How far past the identity the guest probes. */
#define PROBE_LEN 12

/* Report port: the guest tells what it saw, the host only counts. */
#define PORT_REPORT 0x640
#define REPORT_PROBE_LEAK 0
#define REPORT_PROBE_REFUSED 1
#define REPORT_DISK_VERIFIED 2
#define REPORT_DISK_MISMATCH 3
#define REPORT_TIMER_BACKWARDS 4
#define REPORT_IDENTITY_CHANGED 5
#define REPORT_KINDS 6

#endif
