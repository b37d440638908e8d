/* Software CPU: instructions, and the accelerator that is made of it. */
#include <stdlib.h>
#include <string.h>

#include "softcpu.h"

/* Longest run without an exit, so that a stop request is seen. */
#define SLICE_INSTRUCTIONS 100000

/* 00-3d: op r/m,r; op r,r/m; op eax,imm. */
static void alu_form(struct softcpu *cpu, uint8_t opcode)
{
	enum alu_op op = opcode >> 3;
	unsigned size = opcode & 1 ? 4 : 1, reg;
	struct operand rm;

	if ((opcode & 7) >= 6) {
		cpu_fault(cpu, "unknown opcode", opcode);
	} else if (opcode & 4) {
		cpu_set_register(cpu, EAX, size,
				 alu(cpu, op, cpu_get_register(cpu, EAX, size),
				     cpu_fetch(cpu, size), size));
	} else {
		uint32_t in_rm, in_reg;

		rm = cpu_fetch_modrm(cpu, &reg);
		in_rm = cpu_get(cpu, &rm, size);
		in_reg = cpu_get_register(cpu, reg, size);
		if (opcode & 2)
			cpu_set_register(cpu, reg, size, alu(cpu, op, in_reg, in_rm, size));
		else if (op == ALU_CMP)
			alu(cpu, op, in_rm, in_reg, size);
		else
			cpu_set(cpu, &rm, size, alu(cpu, op, in_rm, in_reg, size));
	}
}

/* 80, 81, 83: op r/m,imm. */
static void alu_immediate(struct softcpu *cpu, uint8_t opcode)
{
	unsigned size = opcode & 1 ? 4 : 1, op;
	struct operand rm = cpu_fetch_modrm(cpu, &op);
	uint32_t immediate = opcode == 0x81 ? cpu_fetch(cpu, 4) : cpu_fetch_signed_byte(cpu);
	uint32_t result = alu(cpu, op, cpu_get(cpu, &rm, size), immediate, size);

	if (op != ALU_CMP)
		cpu_set(cpu, &rm, size, result);
}

static void shift(struct softcpu *cpu, uint8_t opcode)
{
	unsigned kind;
	struct operand rm = cpu_fetch_modrm(cpu, &kind);
	unsigned by = opcode == 0xc1 ? cpu_fetch(cpu, 1) : 1;

	cpu_set(cpu, &rm, 4, alu_shift(cpu, kind, cpu_get(cpu, &rm, 4), by));
}

/* fe, ff: inc and dec; f6, f7: test with an immediate, and div. */
static void unary_group(struct softcpu *cpu, uint8_t opcode)
{
	unsigned size = opcode & 1 ? 4 : 1, kind;
	struct operand rm = cpu_fetch_modrm(cpu, &kind);
	uint32_t value = cpu_get(cpu, &rm, size);

	if (opcode >= 0xfe && kind == 0)
		cpu_set(cpu, &rm, size, alu_increment(cpu, value, size));
	else if (opcode >= 0xfe && kind == 1)
		cpu_set(cpu, &rm, size, alu_decrement(cpu, value, size));
	else if (opcode < 0xfe && kind == 0)
		alu(cpu, ALU_AND, value, cpu_fetch(cpu, size), size);
	else if (opcode == 0xf7 && kind == 6)
		alu_divide(cpu, value);
	else
		cpu_fault(cpu, "unknown form of opcode", opcode);
}

/* 88-8b. */
static void move(struct softcpu *cpu, uint8_t opcode)
{
	unsigned size = opcode & 1 ? 4 : 1, reg;
	struct operand rm = cpu_fetch_modrm(cpu, &reg);

	if (opcode & 2)
		cpu_set_register(cpu, reg, size, cpu_get(cpu, &rm, size));
	else
		cpu_set(cpu, &rm, size, cpu_get_register(cpu, reg, size));
}

static void exchange(struct softcpu *cpu)
{
	unsigned reg;
	struct operand rm = cpu_fetch_modrm(cpu, &reg);

	if (rm.is_register) {
		uint32_t value = cpu->reg[rm.reg];

		cpu->reg[rm.reg] = cpu->reg[reg];
		cpu->reg[reg] = value;
	} else {
		cpu->reg[reg] = cpu_exchange(cpu, rm.address, cpu->reg[reg]);
	}
}

static void jump_if(struct softcpu *cpu, bool taken, uint32_t displacement)
{
	if (taken)
		cpu->eip += displacement;
}

static void two_byte_opcode(struct softcpu *cpu)
{
	uint8_t opcode = (uint8_t)cpu_fetch(cpu, 1);
	struct operand rm;
	unsigned reg;

	if (opcode >> 4 == 8) {
		uint32_t displacement = cpu_fetch(cpu, 4);

		jump_if(cpu, alu_condition(cpu, opcode & 15), displacement);
	} else if (opcode == 0xb6) {	/* movzx r32, r/m8 */
		rm = cpu_fetch_modrm(cpu, &reg);
		cpu->reg[reg] = cpu_get(cpu, &rm, 1);
	} else {
		cpu_fault(cpu, "unknown opcode 0f", opcode);
	}
}

/* ec-ef: in and out with the port in dx. The data travel as they do in struct kvm_run. */
static void port_access(struct softcpu *cpu, uint8_t opcode, struct vcpu_exit *exit)
{
	exit->kind = EXIT_IO;
	exit->port = (uint16_t)cpu->reg[EDX];
	exit->size = opcode & 1 ? 4 : 1;
	exit->is_write = opcode & 2;
	exit->count = 1;
	exit->data = cpu->io_data;
	memcpy(cpu->io_data, &cpu->reg[EAX], sizeof(cpu->io_data));
	cpu->in_size = exit->is_write ? 0 : exit->size;
}

static void complete_in(struct softcpu *cpu)
{
	uint32_t value = 0;

	if (cpu->in_size == 0)
		return;
	memcpy(&value, cpu->io_data, cpu->in_size);
	cpu_set_register(cpu, EAX, cpu->in_size, value);
	cpu->in_size = 0;
}

/* Opcodes that carry a register or a condition in their low bits; false if it is none. */
static bool register_opcode(struct softcpu *cpu, uint8_t opcode)
{
	uint32_t *reg = &cpu->reg[opcode & 7];

	switch (opcode >> 3) {
	case 0x40 >> 3:
		*reg = alu_increment(cpu, *reg, 4);
		return true;
	case 0x48 >> 3:
		*reg = alu_decrement(cpu, *reg, 4);
		return true;
	case 0x50 >> 3:
		cpu_push(cpu, *reg);
		return true;
	case 0x58 >> 3:
		*reg = cpu_pop(cpu);
		return true;
	case 0x70 >> 3:
	case 0x78 >> 3: {
		uint32_t displacement = cpu_fetch_signed_byte(cpu);

		jump_if(cpu, alu_condition(cpu, opcode & 15), displacement);
		return true;
	}
	case 0xb0 >> 3:
		cpu_set_register(cpu, opcode & 7, 1, cpu_fetch(cpu, 1));
		return true;
	case 0xb8 >> 3:
		*reg = cpu_fetch(cpu, 4);
		return true;
	default:
		return false;
	}
}

static void execute(struct softcpu *cpu, struct vcpu_exit *exit)
{
	uint8_t opcode = (uint8_t)cpu_fetch(cpu, 1);
	unsigned size = opcode & 1 ? 4 : 1, reg;
	struct operand rm;
	uint32_t value;

	if (register_opcode(cpu, opcode))
		return;
	switch (opcode) {
	case 0x0f:
		two_byte_opcode(cpu);
		break;
	case 0x80:
	case 0x81:
	case 0x83:
		alu_immediate(cpu, opcode);
		break;
	case 0x84:
	case 0x85:	/* test r/m,r */
		rm = cpu_fetch_modrm(cpu, &reg);
		value = cpu_get(cpu, &rm, size);
		alu(cpu, ALU_AND, value, cpu_get_register(cpu, reg, size), size);
		break;
	case 0x87:
		exchange(cpu);
		break;
	case 0x88 ... 0x8b:
		move(cpu, opcode);
		break;
	case 0x8d:	/* lea */
		rm = cpu_fetch_modrm(cpu, &reg);
		cpu->reg[reg] = rm.address;
		break;
	case 0x90:
		break;
	case 0xa0 ... 0xa3:	/* mov between eax and an absolute address */
		value = cpu_fetch(cpu, 4);
		if (opcode & 2)
			cpu_store(cpu, value, size, cpu_get_register(cpu, EAX, size));
		else
			cpu_set_register(cpu, EAX, size, cpu_load(cpu, value, size));
		break;
	case 0xc1:
	case 0xd1:
		shift(cpu, opcode);
		break;
	case 0xc3:
		cpu->eip = cpu_pop(cpu);
		break;
	case 0xc6:
	case 0xc7:	/* mov r/m,imm */
		rm = cpu_fetch_modrm(cpu, &reg);
		cpu_set(cpu, &rm, size, cpu_fetch(cpu, size));
		break;
	case 0xe2:	/* loop */
		value = cpu_fetch_signed_byte(cpu);
		jump_if(cpu, --cpu->reg[ECX] != 0, value);
		break;
	case 0xe8:
		value = cpu_fetch(cpu, 4);
		cpu_push(cpu, cpu->eip);
		cpu->eip += value;
		break;
	case 0xe9:
		value = cpu_fetch(cpu, 4);
		cpu->eip += value;
		break;
	case 0xeb:
		value = cpu_fetch_signed_byte(cpu);
		cpu->eip += value;
		break;
	case 0xec ... 0xef:
		port_access(cpu, opcode, exit);
		break;
	case 0xf6:
	case 0xf7:
	case 0xfe:
	case 0xff:
		unary_group(cpu, opcode);
		break;
	default:
		if (opcode < 0x40)
			alu_form(cpu, opcode);
		else
			cpu_fault(cpu, "unknown opcode", opcode);
	}
}

static void soft_vcpu_run(struct vcpu *vcpu, struct vcpu_exit *exit)
{
	struct softcpu *cpu = vcpu->backend;

	complete_in(cpu);
	exit->kind = EXIT_SLICE;
	for (unsigned i = 0; i < SLICE_INSTRUCTIONS && exit->kind == EXIT_SLICE; i++) {
		uint32_t start = cpu->eip;

		execute(cpu, exit);
		if (cpu->fault) {
			complain("vCPU %u: software CPU at 0x%x: %s 0x%x", vcpu->index, start,
				 cpu->fault, cpu->fault_value);
			exit->kind = EXIT_FAULT;
		}
	}
}

static int soft_vm_init(struct vm *vm)
{
	(void)vm;
	return 0;
}

static void soft_vm_fini(struct vm *vm)
{
	(void)vm;
}

static int soft_vcpu_init(struct vcpu *vcpu)
{
	struct softcpu *cpu = calloc(1, sizeof(*cpu));

	if (!cpu) {
		complain("out of memory");
		return -1;
	}
	cpu->vm = vcpu->vm;
	cpu->eip = GUEST_ENTRY;
	cpu->reg[EAX] = vcpu->index;
	vcpu->backend = cpu;
	return 0;
}

static void soft_vcpu_fini(struct vcpu *vcpu)
{
	free(vcpu->backend);
	vcpu->backend = NULL;
}

const struct accel accel_soft = {
	.name = "soft",
	.vm_init = soft_vm_init,
	.vm_fini = soft_vm_fini,
	.vcpu_init = soft_vcpu_init,
	.vcpu_run = soft_vcpu_run,
	.vcpu_fini = soft_vcpu_fini,
};
