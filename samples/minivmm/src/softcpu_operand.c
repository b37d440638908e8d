/* Software CPU: memory, registers, and the decoding of operands. */
#include <string.h>

#include "softcpu.h"

/* The first fault is the cause; what follows from it is noise. */
void cpu_fault(struct softcpu *cpu, const char *reason, uint32_t value)
{
	if (cpu->fault)
		return;
	cpu->fault = reason;
	cpu->fault_value = value;
}

static void *ram_at(struct softcpu *cpu, uint32_t address, unsigned size)
{
	void *place = vm_guest_memory(cpu->vm, address, size);

	if (!place)
		cpu_fault(cpu, "access outside RAM at", address);
	return place;
}

/* vCPU threads and devices share RAM: aligned words are atomic and ordered, as on x86. */
uint32_t cpu_load(struct softcpu *cpu, uint32_t address, unsigned size)
{
	uint32_t value = 0;
	void *place = ram_at(cpu, address, size);

	if (!place)
		return 0;
	if (size == 4 && address % 4 == 0)
		return __atomic_load_n((uint32_t *)place, __ATOMIC_ACQUIRE);
	memcpy(&value, place, size);
	return value;
}

void cpu_store(struct softcpu *cpu, uint32_t address, unsigned size, uint32_t value)
{
	void *place = ram_at(cpu, address, size);

	if (!place)
		return;
	if (size == 4 && address % 4 == 0)
		__atomic_store_n((uint32_t *)place, value, __ATOMIC_RELEASE);
	else
		memcpy(place, &value, size);
}

uint32_t cpu_exchange(struct softcpu *cpu, uint32_t address, uint32_t value)
{
	uint32_t *place = ram_at(cpu, address, sizeof(*place));

	if (address % 4 != 0)
		cpu_fault(cpu, "unaligned xchg at", address);
	return cpu->fault ? 0 : __atomic_exchange_n(place, value, __ATOMIC_SEQ_CST);
}

uint32_t cpu_fetch(struct softcpu *cpu, unsigned size)
{
	uint32_t value = cpu_load(cpu, cpu->eip, size);

	cpu->eip += size;
	return value;
}

uint32_t cpu_fetch_signed_byte(struct softcpu *cpu)
{
	return (uint32_t)(int8_t)cpu_fetch(cpu, 1);
}

/* Byte registers 4 to 7 are ah, ch, dh and bh. */
uint32_t cpu_get_register(const struct softcpu *cpu, unsigned reg, unsigned size)
{
	if (size == 4)
		return cpu->reg[reg];
	return cpu->reg[reg & 3] >> (reg & 4 ? 8 : 0) & 0xff;
}

void cpu_set_register(struct softcpu *cpu, unsigned reg, unsigned size, uint32_t value)
{
	unsigned shift = reg & 4 ? 8 : 0;

	if (size == 4) {
		cpu->reg[reg] = value;
		return;
	}
	cpu->reg[reg & 3] &= ~(0xffU << shift);
	cpu->reg[reg & 3] |= (value & 0xff) << shift;
}

static uint32_t fetch_sib(struct softcpu *cpu, unsigned mod)
{
	uint32_t sib = cpu_fetch(cpu, 1);
	unsigned base = sib & 7, index = sib >> 3 & 7;
	uint32_t address;

	if (base == EBP && mod == 0)
		address = cpu_fetch(cpu, 4);
	else
		address = cpu->reg[base];
	if (index != ESP)	/* encodes "no index" */
		address += cpu->reg[index] << (sib >> 6);
	return address;
}

struct operand cpu_fetch_modrm(struct softcpu *cpu, unsigned *reg)
{
	uint32_t modrm = cpu_fetch(cpu, 1);
	unsigned mod = modrm >> 6, rm = modrm & 7;
	struct operand operand = { .is_register = mod == 3, .reg = (uint8_t)rm };

	*reg = modrm >> 3 & 7;
	if (mod == 3)
		return operand;
	if (rm == ESP)
		operand.address = fetch_sib(cpu, mod);
	else if (rm == EBP && mod == 0)
		operand.address = cpu_fetch(cpu, 4);
	else
		operand.address = cpu->reg[rm];
	if (mod == 1)
		operand.address += cpu_fetch_signed_byte(cpu);
	else if (mod == 2)
		operand.address += cpu_fetch(cpu, 4);
	return operand;
}

uint32_t cpu_get(struct softcpu *cpu, const struct operand *operand, unsigned size)
{
	if (operand->is_register)
		return cpu_get_register(cpu, operand->reg, size);
	return cpu_load(cpu, operand->address, size);
}

void cpu_set(struct softcpu *cpu, const struct operand *operand, unsigned size, uint32_t value)
{
	if (operand->is_register)
		cpu_set_register(cpu, operand->reg, size, value);
	else
		cpu_store(cpu, operand->address, size, value);
}

void cpu_push(struct softcpu *cpu, uint32_t value)
{
	cpu->reg[ESP] -= 4;
	cpu_store(cpu, cpu->reg[ESP], 4, value);
}

uint32_t cpu_pop(struct softcpu *cpu)
{
	uint32_t value = cpu_load(cpu, cpu->reg[ESP], 4);

	cpu->reg[ESP] += 4;
	return value;
}
