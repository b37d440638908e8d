//! Software CPU: the decoding of operands.

use super::cpu::{Cpu, Result};

pub(super) const EAX: usize = 0;
pub(super) const ECX: usize = 1;
pub(super) const EDX: usize = 2;
pub(super) const ESP: usize = 4;
pub(super) const EBP: usize = 5;

/// The size of an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Byte,
    Dword,
}

impl Width {
    /// As most opcodes tell in their lowest bit.
    pub(super) fn of(opcode: u8) -> Self {
        if opcode & 1 == 0 { Width::Byte } else { Width::Dword }
    }

    pub(super) fn bytes(self) -> usize {
        match self {
            Width::Byte => 1,
            Width::Dword => 4,
        }
    }

    pub(super) fn mask(self) -> u32 {
        match self {
            Width::Byte => 0xff,
            Width::Dword => u32::MAX,
        }
    }

    pub(super) fn top_bit(self) -> u32 {
        self.mask() ^ self.mask() >> 1
    }
}

/// What the ModRM byte leads to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operand {
    Register(usize),
    Memory(u32),
}

impl Cpu {
    /// The operand of a ModRM byte, and its reg field.
    pub(super) fn fetch_modrm(&mut self) -> Result<(Operand, usize)> {
        let modrm = self.fetch(Width::Byte)?;
        let (mode, register, rm) = (modrm >> 6, (modrm >> 3 & 7) as usize, (modrm & 7) as usize);
        if mode == 3 {
            return Ok((Operand::Register(rm), register));
        }
        let base = match (rm, mode) {
            (ESP, _) => self.fetch_sib(mode)?,
            (EBP, 0) => self.fetch(Width::Dword)?,
            _ => self.registers[rm],
        };
        let displacement = match mode {
            1 => self.fetch_signed_byte()?,
            2 => self.fetch(Width::Dword)?,
            _ => 0,
        };
        Ok((Operand::Memory(base.wrapping_add(displacement)), register))
    }

    fn fetch_sib(&mut self, mode: u32) -> Result<u32> {
        let sib = self.fetch(Width::Byte)?;
        let (scale, index, base) = (sib >> 6, (sib >> 3 & 7) as usize, (sib & 7) as usize);
        let address = if base == EBP && mode == 0 { self.fetch(Width::Dword)? } else { self.registers[base] };
        // ESP as index encodes "no index".
        let offset = if index == ESP { 0 } else { self.registers[index] << scale };
        Ok(address.wrapping_add(offset))
    }

    pub(super) fn get(&self, operand: Operand, width: Width) -> Result<u32> {
        match operand {
            Operand::Register(register) => Ok(self.register(register, width)),
            Operand::Memory(address) => self.load(address, width),
        }
    }

    pub(super) fn set(&mut self, operand: Operand, width: Width, value: u32) -> Result<()> {
        match operand {
            Operand::Register(register) => {
                self.set_register(register, width, value);
                Ok(())
            }
            Operand::Memory(address) => self.store(address, width, value),
        }
    }
}
