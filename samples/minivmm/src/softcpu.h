/*
 * The built-in software CPU: an interpreter for the part of the 32-bit x86 instruction
 * set that guest.S uses. Flat addresses, no interrupts, no paging, no 16-bit operands.
 * Anything else is a fault that names the instruction; nothing is skipped or guessed.
 */
#ifndef MINIVMM_SOFTCPU_H
#define MINIVMM_SOFTCPU_H

#include "minivmm.h"

enum { EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI };

struct softcpu {
	struct vm *vm;
	uint32_t reg[8];
	uint32_t eip;
	bool carry, zero, sign, overflow;
	uint8_t io_data[4];
	uint8_t in_size;	/* of the IN that the next run completes; 0: none */
	const char *fault;	/* set once; the instruction's effects are then void */
	uint32_t fault_value;
};

/* A ModRM operand: a register or a place in memory. */
struct operand {
	bool is_register;
	uint8_t reg;
	uint32_t address;
};

/* Numbered as in the opcode: bits 3 to 5 of 00-3f, the ModRM's reg field of 80-83. */
enum alu_op { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };

/* softcpu_operand.c; sizes are 1 or 4 */
void cpu_fault(struct softcpu *cpu, const char *reason, uint32_t value);
uint32_t cpu_load(struct softcpu *cpu, uint32_t address, unsigned size);
void cpu_store(struct softcpu *cpu, uint32_t address, unsigned size, uint32_t value);
uint32_t cpu_exchange(struct softcpu *cpu, uint32_t address, uint32_t value);
uint32_t cpu_fetch(struct softcpu *cpu, unsigned size);
uint32_t cpu_fetch_signed_byte(struct softcpu *cpu);
uint32_t cpu_get_register(const struct softcpu *cpu, unsigned reg, unsigned size);
void cpu_set_register(struct softcpu *cpu, unsigned reg, unsigned size, uint32_t value);
struct operand cpu_fetch_modrm(struct softcpu *cpu, unsigned *reg);
uint32_t cpu_get(struct softcpu *cpu, const struct operand *operand, unsigned size);
void cpu_set(struct softcpu *cpu, const struct operand *operand, unsigned size, uint32_t value);
void cpu_push(struct softcpu *cpu, uint32_t value);
uint32_t cpu_pop(struct softcpu *cpu);

/* softcpu_alu.c */
uint32_t alu(struct softcpu *cpu, enum alu_op op, uint32_t a, uint32_t b, unsigned size);
uint32_t alu_increment(struct softcpu *cpu, uint32_t a, unsigned size);
uint32_t alu_decrement(struct softcpu *cpu, uint32_t a, unsigned size);
uint32_t alu_shift(struct softcpu *cpu, unsigned kind, uint32_t a, unsigned by);
void alu_divide(struct softcpu *cpu, uint32_t divisor);
bool alu_condition(struct softcpu *cpu, unsigned code);

#endif
