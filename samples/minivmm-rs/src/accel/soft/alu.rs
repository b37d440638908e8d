//! Software CPU: arithmetic and flags.

use super::cpu::{Cpu, Fault, Flags, Result};
use super::operand::{EAX, EDX, Width};

/// Numbered as in the opcode: bits 3 to 5 of 00-3f, the ModRM's reg field of 80-83.
pub(super) const AND: usize = 4;
pub(super) const CMP: usize = 7;
const ADD: usize = 0;
const OR: usize = 1;
const SUB: usize = 5;
const XOR: usize = 6;

impl Cpu {
    fn set_result(&mut self, result: u32, width: Width) -> u32 {
        let result = result & width.mask();
        self.flags.zero = result == 0;
        self.flags.sign = result & width.top_bit() != 0;
        result
    }

    fn add(&mut self, a: u32, b: u32, width: Width) -> u32 {
        let sum = self.set_result(a.wrapping_add(b), width);
        self.flags.carry = sum < a;
        self.flags.overflow = (a ^ sum) & (b ^ sum) & width.top_bit() != 0;
        sum
    }

    fn subtract(&mut self, a: u32, b: u32, width: Width) -> u32 {
        let difference = self.set_result(a.wrapping_sub(b), width);
        self.flags.carry = a < b;
        self.flags.overflow = (a ^ b) & (a ^ difference) & width.top_bit() != 0;
        difference
    }

    fn logical(&mut self, result: u32, width: Width) -> u32 {
        self.flags.carry = false;
        self.flags.overflow = false;
        self.set_result(result, width)
    }

    /// For a comparison the result is `a`.
    pub(super) fn arithmetic(&mut self, operation: usize, a: u32, b: u32, width: Width) -> Result<u32> {
        let (a, b) = (a & width.mask(), b & width.mask());
        Ok(match operation {
            ADD => self.add(a, b, width),
            OR => self.logical(a | b, width),
            AND => self.logical(a & b, width),
            SUB => self.subtract(a, b, width),
            XOR => self.logical(a ^ b, width),
            CMP => {
                self.subtract(a, b, width);
                a
            }
            _ => return Err(Fault::Unknown("arithmetic operation", operation as u32)),
        })
    }

    /// inc leaves the carry flag alone.
    pub(super) fn increment(&mut self, a: u32, width: Width) -> u32 {
        let carry = self.flags.carry;
        let result = self.add(a & width.mask(), 1, width);
        self.flags.carry = carry;
        result
    }

    /// dec leaves the carry flag alone.
    pub(super) fn decrement(&mut self, a: u32, width: Width) -> u32 {
        let carry = self.flags.carry;
        let result = self.subtract(a & width.mask(), 1, width);
        self.flags.carry = carry;
        result
    }

    /// kind: the ModRM's reg field; 4 is shl, 5 is shr. The overflow flag is for shifts by one.
    pub(super) fn shift(&mut self, kind: usize, a: u32, by: u32) -> Result<u32> {
        let by = by & 31;
        if kind != 4 && kind != 5 {
            return Err(Fault::Unknown("shift", kind as u32));
        }
        if by == 0 {
            return Ok(a);
        }
        let result = if kind == 4 { a << by } else { a >> by };
        self.flags.carry = if kind == 4 { a >> (32 - by) & 1 } else { a >> (by - 1) & 1 } != 0;
        self.flags.overflow = if kind == 4 { self.flags.carry != (result >> 31 != 0) } else { a >> 31 != 0 };
        Ok(self.set_result(result, Width::Dword))
    }

    /// edx:eax by the divisor: quotient to eax, remainder to edx.
    pub(super) fn divide(&mut self, divisor: u32) -> Result<()> {
        let dividend = u64::from(self.registers[EDX]) << 32 | u64::from(self.registers[EAX]);
        let quotient = dividend.checked_div(divisor.into()).and_then(|quotient| u32::try_from(quotient).ok());
        self.registers[EAX] = quotient.ok_or(Fault::Division(divisor))?;
        self.registers[EDX] = (dividend % u64::from(divisor)) as u32;
        Ok(())
    }

    /// Low four bits of a jcc opcode; an odd code is the negation of the one before it.
    pub(super) fn condition(&self, code: u8) -> Result<bool> {
        let Flags { carry, zero, sign, overflow } = self.flags;
        let holds = match code >> 1 & 7 {
            0 => overflow,
            1 => carry,
            2 => zero,
            3 => carry || zero,
            4 => sign,
            6 => sign != overflow,
            7 => zero || sign != overflow,
            _ => return Err(Fault::Unknown("condition", code.into())),
        };
        Ok(holds != (code & 1 != 0))
    }
}
