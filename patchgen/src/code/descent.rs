//! How far before an address, which code takes, it takes another one.

use super::escape::taken_address;
use super::{Program, instructions};
use crate::image::FunctionId;
use iced_x86::{Instruction, InstructionInfoFactory, Mnemonic, OpKind, Register};

/// Instructions behind the one that takes the address.
const MAX_FOLLOWED: usize = 24;

/// The most bytes before `address`, which `function` takes, at which it takes another address: `lea rdx,[rsi-3]`. None if it
/// takes none; how far a loop goes down is not known.
pub fn descent(program: &Program<'_>, function: FunctionId, address: u64) -> Option<u64> {
    let taken = taken_address(program, function, address);
    let mut most = None;
    for (part, bounds) in program.image.function(function).parts.iter().enumerate() {
        if !taken.keys().any(|(of, _)| usize::from(*of) == part) {
            continue;
        }
        let all: Vec<Instruction> = instructions(&program.image, bounds.clone()).into_iter().collect();
        for (index, instruction) in all.iter().enumerate() {
            let end = instruction.next_ip().wrapping_sub(bounds.start) as u32;
            if taken.contains_key(&(part as u16, end)) && instruction.op0_kind() == OpKind::Register {
                most = most.max(descent_of(&all[index + 1..], instruction.op0_register()));
            }
        }
    }
    most
}

/// The same of the address in a register, until something else is put there.
fn descent_of(behind: &[Instruction], register: Register) -> Option<u64> {
    let mut info = InstructionInfoFactory::new();
    let is_it =
        |other: Register| other != Register::None && other.full_register() == register.full_register();
    let mut most = None;
    for instruction in behind.iter().take(MAX_FOLLOWED) {
        let takes = instruction.mnemonic() == Mnemonic::Lea && !is_it(instruction.op0_register());
        let alone = is_it(instruction.memory_base()) && instruction.memory_index() == Register::None;
        let back = if takes && alone { -(instruction.memory_displacement64() as i64) } else { 0 };
        most = most.max(u64::try_from(back).ok().filter(|back| *back > 0));
        let used = info.info(instruction).used_registers();
        if used.iter().any(|used| is_it(used.register()) && super::values::is_write(used.access())) {
            break;
        }
    }
    most
}
