//! The built-in software CPU: an interpreter for the part of the 32-bit x86 instruction set that the guest uses. Flat
//! addresses, no interrupts, no paging, no 16-bit operands. Anything else is a fault that names the instruction;
//! nothing is skipped or guessed.

mod alu;
mod cpu;
mod execute;
mod operand;

use super::{Accelerator, Exit, VcpuBackend};
use crate::error::Result;
use crate::memory::Ram;
use cpu::{Cpu, Eip};

/// Longest run without an exit, so that a stop request is seen.
const SLICE_INSTRUCTIONS: usize = 100_000;

/// Makes software CPUs.
pub(crate) struct Soft {
    ram: Ram,
}

impl Soft {
    pub(crate) fn new(ram: Ram) -> Self {
        Soft { ram }
    }
}

impl Accelerator for Soft {
    fn name(&self) -> &'static str {
        "soft"
    }

    fn create_vcpu(&self, index: u8) -> Result<Box<dyn VcpuBackend>> {
        Ok(Box::new(SoftVcpu { cpu: Cpu::new(self.ram.clone(), index), data: [0; 4], reading: None }))
    }
}

/// An access to a port by an instruction.
struct PortAccess {
    port: u16,
    width: operand::Width,
    is_write: bool,
}

/// A software CPU and the data of its port access.
struct SoftVcpu {
    cpu: Cpu,
    data: [u8; 4],
    /// Of the IN that the next run completes.
    reading: Option<operand::Width>,
}

impl VcpuBackend for SoftVcpu {
    fn run(&mut self) -> std::result::Result<Exit<'_>, String> {
        if let Some(width) = self.reading.take() {
            self.cpu.set_register(operand::EAX, width, u32::from_le_bytes(self.data));
        }
        for _ in 0..SLICE_INSTRUCTIONS {
            let start = self.cpu.eip;
            let access =
                self.cpu.execute().map_err(|fault| format!("software CPU at {}: {fault}", Eip(start)))?;
            if let Some(access) = access {
                return Ok(self.exit(&access));
            }
        }
        Ok(Exit::Slice)
    }
}

impl SoftVcpu {
    fn exit(&mut self, access: &PortAccess) -> Exit<'_> {
        let (port, len) = (access.port, access.width.bytes());
        if access.is_write {
            self.data = self.cpu.register(operand::EAX, operand::Width::Dword).to_le_bytes();
            Exit::Out { port, data: &self.data[..len] }
        } else {
            self.reading = Some(access.width);
            Exit::In { port, data: &mut self.data[..len] }
        }
    }
}
