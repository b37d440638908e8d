//! Software CPU: registers and memory.

use super::operand::{EAX, ESP, Width};
use crate::guest::GUEST_ENTRY;
use crate::memory::Ram;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryBackend as _, VolatileMemory as _};

/// Why an instruction cannot be executed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("access outside RAM at {0:#x}")]
    OutsideRam(u32),
    #[error("unaligned xchg at {0:#x}")]
    Unaligned(u32),
    #[error("unknown {0} {1:#x}")]
    Unknown(&'static str, u32),
    #[error("division error by {0:#x}")]
    Division(u32),
}

/// What an instruction comes to.
pub(super) type Result<T> = std::result::Result<T, Fault>;

/// All flags but parity and auxiliary carry.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    pub(super) carry: bool,
    pub(super) zero: bool,
    pub(super) sign: bool,
    pub(super) overflow: bool,
}

/// An address of an instruction, for messages.
pub(super) struct Eip(pub(super) u32);

impl fmt::Display for Eip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// The state of a CPU.
pub(super) struct Cpu {
    ram: Ram,
    pub(super) registers: [u32; 8],
    pub(super) eip: u32,
    pub(super) flags: Flags,
}

impl Cpu {
    pub(super) fn new(ram: Ram, index: u8) -> Self {
        let mut registers = [0; 8];
        registers[EAX] = index.into();
        Cpu { ram, registers, eip: GUEST_ENTRY, flags: Flags::default() }
    }

    /// vCPU threads and devices share RAM: aligned words are atomic and ordered, as on x86.
    pub(super) fn load(&self, address: u32, width: Width) -> Result<u32> {
        let place = GuestAddress(address.into());
        let loaded = match width {
            Width::Byte => self.ram.load::<u8>(place, Ordering::Acquire).map(u32::from),
            Width::Dword if address.is_multiple_of(4) => self.ram.load(place, Ordering::Acquire),
            Width::Dword => self.ram.read_obj(place),
        };
        loaded.map_err(|_| Fault::OutsideRam(address))
    }

    pub(super) fn store(&self, address: u32, width: Width, value: u32) -> Result<()> {
        let place = GuestAddress(address.into());
        let stored = match width {
            Width::Byte => self.ram.store(value as u8, place, Ordering::Release),
            Width::Dword if address.is_multiple_of(4) => self.ram.store(value, place, Ordering::Release),
            Width::Dword => self.ram.write_obj(value, place),
        };
        stored.map_err(|_| Fault::OutsideRam(address))
    }

    pub(super) fn exchange(&self, address: u32, value: u32) -> Result<u32> {
        let slice =
            self.ram.get_slice(GuestAddress(address.into()), 4).map_err(|_| Fault::OutsideRam(address))?;
        let word = slice.get_atomic_ref::<AtomicU32>(0).map_err(|_| Fault::Unaligned(address))?;
        Ok(word.swap(value, Ordering::SeqCst))
    }

    /// The next bytes of the instruction.
    pub(super) fn fetch(&mut self, width: Width) -> Result<u32> {
        let value = self.load(self.eip, width)?;
        self.eip = self.eip.wrapping_add(width.bytes() as u32);
        Ok(value)
    }

    pub(super) fn fetch_signed_byte(&mut self) -> Result<u32> {
        Ok(self.fetch(Width::Byte)? as i8 as u32)
    }

    /// Byte registers 4 to 7 are ah, ch, dh and bh.
    pub(super) fn register(&self, register: usize, width: Width) -> u32 {
        match width {
            Width::Dword => self.registers[register],
            Width::Byte => self.registers[register & 3] >> high_byte(register) & 0xff,
        }
    }

    pub(super) fn set_register(&mut self, register: usize, width: Width, value: u32) {
        match width {
            Width::Dword => self.registers[register] = value,
            Width::Byte => {
                let (shift, place) = (high_byte(register), &mut self.registers[register & 3]);
                *place = *place & !(0xff << shift) | (value & 0xff) << shift;
            }
        }
    }

    pub(super) fn push(&mut self, value: u32) -> Result<()> {
        self.registers[ESP] = self.registers[ESP].wrapping_sub(4);
        self.store(self.registers[ESP], Width::Dword, value)
    }

    pub(super) fn pop(&mut self) -> Result<u32> {
        let value = self.load(self.registers[ESP], Width::Dword)?;
        self.registers[ESP] = self.registers[ESP].wrapping_add(4);
        Ok(value)
    }
}

fn high_byte(register: usize) -> u32 {
    if register & 4 == 0 { 0 } else { 8 }
}
