//! Software CPU: instructions.

use super::PortAccess;
use super::alu::{AND, CMP};
use super::cpu::{Cpu, Fault, Result};
use super::operand::{EAX, ECX, EDX, Operand, Width};

impl Cpu {
    /// Executes one instruction; one that accesses a port is completed by whoever runs the CPU.
    pub(super) fn execute(&mut self) -> Result<Option<PortAccess>> {
        let opcode = self.fetch(Width::Byte)? as u8;
        if let 0xec..=0xef = opcode {
            let port = self.registers[EDX] as u16;
            return Ok(Some(PortAccess { port, width: Width::of(opcode), is_write: opcode & 2 != 0 }));
        }
        self.instruction(opcode)?;
        Ok(None)
    }

    fn instruction(&mut self, opcode: u8) -> Result<()> {
        let (width, low) = (Width::of(opcode), usize::from(opcode & 7));
        match opcode {
            0x0f => self.two_bytes(),
            0x00..=0x3f => self.arithmetic_form(opcode),
            0x40..=0x47 => {
                self.registers[low] = self.increment(self.registers[low], Width::Dword);
                Ok(())
            }
            0x48..=0x4f => {
                self.registers[low] = self.decrement(self.registers[low], Width::Dword);
                Ok(())
            }
            0x50..=0x57 => self.push(self.registers[low]),
            0x58..=0x5f => self.pop().map(|value| self.registers[low] = value),
            0x70..=0x7f => {
                let displacement = self.fetch_signed_byte()?;
                let taken = self.condition(opcode)?;
                self.jump_if(taken, displacement);
                Ok(())
            }
            0x80 | 0x81 | 0x83 => self.arithmetic_immediate(opcode),
            0x84 | 0x85 => {
                let (operand, register) = self.fetch_modrm()?;
                let value = self.get(operand, width)?;
                self.arithmetic(AND, value, self.register(register, width), width).map(drop)
            }
            0x87 => self.exchange_operand(),
            0x88..=0x8b => self.move_operand(opcode),
            0x8d => self.load_address(),
            0x90 => Ok(()),
            0xa0..=0xa3 => self.move_absolute(opcode),
            0xb0..=0xb7 => self.fetch(Width::Byte).map(|value| self.set_register(low, Width::Byte, value)),
            0xb8..=0xbf => self.fetch(Width::Dword).map(|value| self.registers[low] = value),
            0xc1 | 0xd1 => {
                let (operand, kind) = self.fetch_modrm()?;
                let by = if opcode == 0xc1 { self.fetch(Width::Byte)? } else { 1 };
                let shifted =
                    self.get(operand, Width::Dword).and_then(|value| self.shift(kind, value, by))?;
                self.set(operand, Width::Dword, shifted)
            }
            0xc3 => self.pop().map(|address| self.eip = address),
            0xc6 | 0xc7 => {
                let (operand, _) = self.fetch_modrm()?;
                let value = self.fetch(width)?;
                self.set(operand, width, value)
            }
            0xe2 => {
                let displacement = self.fetch_signed_byte()?;
                self.registers[ECX] = self.registers[ECX].wrapping_sub(1);
                self.jump_if(self.registers[ECX] != 0, displacement);
                Ok(())
            }
            0xe8 => {
                let displacement = self.fetch(Width::Dword)?;
                self.push(self.eip)?;
                self.jump_if(true, displacement);
                Ok(())
            }
            0xe9 => self.fetch(Width::Dword).map(|displacement| self.jump_if(true, displacement)),
            0xeb => self.fetch_signed_byte().map(|displacement| self.jump_if(true, displacement)),
            0xf6 | 0xf7 | 0xfe | 0xff => self.unary(opcode),
            _ => Err(unknown(opcode)),
        }
    }

    fn jump_if(&mut self, taken: bool, displacement: u32) {
        if taken {
            self.eip = self.eip.wrapping_add(displacement);
        }
    }

    /// 00-3d: op r/m,r; op r,r/m; op eax,imm.
    fn arithmetic_form(&mut self, opcode: u8) -> Result<()> {
        let (operation, width) = (usize::from(opcode >> 3), Width::of(opcode));
        if opcode & 7 >= 6 {
            return Err(unknown(opcode));
        }
        if opcode & 4 != 0 {
            let immediate = self.fetch(width)?;
            let result = self.arithmetic(operation, self.register(EAX, width), immediate, width)?;
            self.set_register(EAX, width, result);
            return Ok(());
        }
        let (operand, register) = self.fetch_modrm()?;
        let (there, here) = (self.get(operand, width)?, self.register(register, width));
        if opcode & 2 != 0 {
            let result = self.arithmetic(operation, here, there, width)?;
            self.set_register(register, width, result);
            return Ok(());
        }
        let result = self.arithmetic(operation, there, here, width)?;
        if operation == CMP { Ok(()) } else { self.set(operand, width, result) }
    }

    /// 80, 81, 83: op r/m,imm.
    fn arithmetic_immediate(&mut self, opcode: u8) -> Result<()> {
        let width = Width::of(opcode);
        let (operand, operation) = self.fetch_modrm()?;
        let immediate = if opcode == 0x81 { self.fetch(Width::Dword)? } else { self.fetch_signed_byte()? };
        let value = self.get(operand, width)?;
        let result = self.arithmetic(operation, value, immediate, width)?;
        if operation == CMP { Ok(()) } else { self.set(operand, width, result) }
    }

    /// fe, ff: inc and dec; f6, f7: test with an immediate, and div.
    fn unary(&mut self, opcode: u8) -> Result<()> {
        let width = Width::of(opcode);
        let (operand, kind) = self.fetch_modrm()?;
        let value = self.get(operand, width)?;
        match (opcode, kind) {
            (0xfe.., 0) => {
                let result = self.increment(value, width);
                self.set(operand, width, result)
            }
            (0xfe.., 1) => {
                let result = self.decrement(value, width);
                self.set(operand, width, result)
            }
            (0xf6 | 0xf7, 0) => {
                let immediate = self.fetch(width)?;
                self.arithmetic(AND, value, immediate, width).map(drop)
            }
            (0xf7, 6) => self.divide(value),
            _ => Err(Fault::Unknown("form of opcode", opcode.into())),
        }
    }

    /// 88-8b.
    fn move_operand(&mut self, opcode: u8) -> Result<()> {
        let width = Width::of(opcode);
        let (operand, register) = self.fetch_modrm()?;
        if opcode & 2 == 0 {
            return self.set(operand, width, self.register(register, width));
        }
        let value = self.get(operand, width)?;
        self.set_register(register, width, value);
        Ok(())
    }

    /// a0-a3: between eax and an absolute address.
    fn move_absolute(&mut self, opcode: u8) -> Result<()> {
        let width = Width::of(opcode);
        let address = self.fetch(Width::Dword)?;
        if opcode & 2 != 0 {
            return self.store(address, width, self.register(EAX, width));
        }
        let value = self.load(address, width)?;
        self.set_register(EAX, width, value);
        Ok(())
    }

    fn load_address(&mut self) -> Result<()> {
        let (Operand::Memory(address), register) = self.fetch_modrm()? else { return Err(unknown(0x8d)) };
        self.registers[register] = address;
        Ok(())
    }

    fn exchange_operand(&mut self) -> Result<()> {
        let (operand, register) = self.fetch_modrm()?;
        match operand {
            Operand::Register(other) => self.registers.swap(register, other),
            Operand::Memory(address) => {
                self.registers[register] = self.exchange(address, self.registers[register])?;
            }
        }
        Ok(())
    }

    fn two_bytes(&mut self) -> Result<()> {
        let opcode = self.fetch(Width::Byte)? as u8;
        match opcode {
            0x80..=0x8f => {
                let displacement = self.fetch(Width::Dword)?;
                let taken = self.condition(opcode)?;
                self.jump_if(taken, displacement);
                Ok(())
            }
            // movzx r32, r/m8
            0xb6 => {
                let (operand, register) = self.fetch_modrm()?;
                self.registers[register] = self.get(operand, Width::Byte)?;
                Ok(())
            }
            _ => Err(Fault::Unknown("opcode 0f", opcode.into())),
        }
    }
}

fn unknown(opcode: u8) -> Fault {
    Fault::Unknown("opcode", opcode.into())
}
