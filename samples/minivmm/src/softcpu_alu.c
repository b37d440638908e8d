/* Software CPU: arithmetic and flags (all but parity and auxiliary carry). */
#include "softcpu.h"

static uint32_t mask_of(unsigned size)
{
	return size == 4 ? UINT32_MAX : 0xff;
}

static uint32_t top_bit(unsigned size)
{
	return size == 4 ? 0x80000000U : 0x80;
}

static uint32_t set_result(struct softcpu *cpu, uint32_t result, unsigned size)
{
	result &= mask_of(size);
	cpu->zero = result == 0;
	cpu->sign = result & top_bit(size);
	return result;
}

static uint32_t add(struct softcpu *cpu, uint32_t a, uint32_t b, unsigned size)
{
	uint32_t sum = set_result(cpu, a + b, size);

	cpu->carry = sum < a;
	cpu->overflow = (a ^ sum) & (b ^ sum) & top_bit(size);
	return sum;
}

static uint32_t subtract(struct softcpu *cpu, uint32_t a, uint32_t b, unsigned size)
{
	uint32_t difference = set_result(cpu, a - b, size);

	cpu->carry = a < b;
	cpu->overflow = (a ^ b) & (a ^ difference) & top_bit(size);
	return difference;
}

static uint32_t logical(struct softcpu *cpu, uint32_t result, unsigned size)
{
	cpu->carry = false;
	cpu->overflow = false;
	return set_result(cpu, result, size);
}

/* For ALU_CMP the result is `a`, so that the caller may always store it. */
uint32_t alu(struct softcpu *cpu, enum alu_op op, uint32_t a, uint32_t b, unsigned size)
{
	a &= mask_of(size);
	b &= mask_of(size);
	switch (op) {
	case ALU_ADD:
		return add(cpu, a, b, size);
	case ALU_OR:
		return logical(cpu, a | b, size);
	case ALU_AND:
		return logical(cpu, a & b, size);
	case ALU_SUB:
		return subtract(cpu, a, b, size);
	case ALU_XOR:
		return logical(cpu, a ^ b, size);
	case ALU_CMP:
		subtract(cpu, a, b, size);
		return a;
	default:
		cpu_fault(cpu, "unknown arithmetic operation", op);
		return a;
	}
}

/* inc and dec leave the carry flag alone. */
uint32_t alu_increment(struct softcpu *cpu, uint32_t a, unsigned size)
{
	bool carry = cpu->carry;
	uint32_t result = add(cpu, a, 1, size);

	cpu->carry = carry;
	return result;
}

uint32_t alu_decrement(struct softcpu *cpu, uint32_t a, unsigned size)
{
	bool carry = cpu->carry;
	uint32_t result = subtract(cpu, a, 1, size);

	cpu->carry = carry;
	return result;
}

/* kind: the ModRM's reg field; 4 is shl, 5 is shr. The overflow flag is for shifts by one. */
uint32_t alu_shift(struct softcpu *cpu, unsigned kind, uint32_t a, unsigned by)
{
	by &= 31;
	if (kind != 4 && kind != 5)
		cpu_fault(cpu, "unknown shift", kind);
	if (by == 0 || cpu->fault)
		return a;
	if (kind == 4) {
		cpu->carry = a >> (32 - by) & 1;
		cpu->overflow = cpu->carry != (a << by >> 31);
		return set_result(cpu, a << by, 4);
	}
	cpu->carry = a >> (by - 1) & 1;
	cpu->overflow = a >> 31;
	return set_result(cpu, a >> by, 4);
}

/* edx:eax by the divisor: quotient to eax, remainder to edx. */
void alu_divide(struct softcpu *cpu, uint32_t divisor)
{
	uint64_t dividend = (uint64_t)cpu->reg[EDX] << 32 | cpu->reg[EAX];

	if (divisor == 0 || dividend / divisor > UINT32_MAX) {
		cpu_fault(cpu, "division error by", divisor);
		return;
	}
	cpu->reg[EAX] = (uint32_t)(dividend / divisor);
	cpu->reg[EDX] = (uint32_t)(dividend % divisor);
}

/* Low four bits of a jcc opcode; an odd code is the negation of the one before it. */
bool alu_condition(struct softcpu *cpu, unsigned code)
{
	bool holds = false;

	switch (code >> 1) {
	case 0:
		holds = cpu->overflow;
		break;
	case 1:
		holds = cpu->carry;
		break;
	case 2:
		holds = cpu->zero;
		break;
	case 3:
		holds = cpu->carry || cpu->zero;
		break;
	case 4:
		holds = cpu->sign;
		break;
	case 6:
		holds = cpu->sign != cpu->overflow;
		break;
	case 7:
		holds = cpu->zero || cpu->sign != cpu->overflow;
		break;
	default:
		cpu_fault(cpu, "unknown condition", code);
	}
	return holds != (code & 1);
}
