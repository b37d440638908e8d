//! Instructions that fault unless their memory operand is aligned (Intel SDM, volume 1, sections 4.1.1 and 14.9): a variable
//! keeps its place in the target, which may be aligned less than in the replacement.

use super::place::NoPlace;
use crate::code::{Program, Reference, Use, instructions};
use crate::image::{FunctionId, Referent};
use crate::report::RefusalKind;
use iced_x86::{EncodingKind, Instruction, Mnemonic, Register};
use std::collections::HashMap;

/// What the instructions of a function demand of addresses, in bytes.
pub(super) struct Demands {
    /// By part and end of the instruction, of the operand that the instruction names itself.
    direct: HashMap<(u16, u32), u64>,
    /// The most that any demands of an address in a register that is not the stack's.
    by_register: u64,
}

impl Demands {
    pub(super) fn of(program: &Program<'_>, id: FunctionId) -> Self {
        let mut demands = Demands { direct: HashMap::new(), by_register: 1 };
        for (part, range) in program.image.function(id).parts.iter().enumerate() {
            for instruction in instructions(&program.image, range.clone()) {
                let Some(bytes) = demanded(&instruction) else { continue };
                let (base, index) = (instruction.memory_base(), instruction.memory_index());
                let named = instruction.is_ip_rel_memory_operand()
                    || (base == Register::None && index == Register::None);
                if named {
                    demands.direct.insert((part as u16, (instruction.next_ip() - range.start) as u32), bytes);
                } else if !matches!(base, Register::RSP | Register::RBP) {
                    demands.by_register = demands.by_register.max(bytes);
                }
            }
        }
        demands
    }

    /// What is demanded of a place that code reaches with an instruction that ends here.
    pub(super) fn at(&self, part: u16, end: u32, usage: Use) -> u64 {
        let direct = self.direct.get(&(part, end)).copied().unwrap_or(1);
        if usage == Use::Address { self.by_register.max(direct) } else { direct }
    }

    /// Refuses a reference whose place in the target, `there`, is aligned less than the code reckons with.
    pub(super) fn check(
        &self,
        program: &Program<'_>,
        reference: &Reference,
        there: u64,
    ) -> Result<(), NoPlace> {
        let Referent::Object { id, .. } = reference.referent else { return Ok(()) };
        let bytes = match reference.usage {
            Use::Address => self.by_register,
            _ => self.direct.get(&(reference.part, reference.end)).copied().unwrap_or(1),
        };
        if there % bytes == reference.target % bytes {
            return Ok(());
        }
        Err(NoPlace {
            kind: RefusalKind::Alignment,
            subject: program.image.object(id).name.clone(),
            detail: format!("new code needs it aligned to {bytes} bytes, which it is not in the target"),
        })
    }
}

/// The alignment without which an instruction faults, in bytes.
fn demanded(instruction: &Instruction) -> Option<u64> {
    let size = instruction.memory_size().size() as u64;
    let moves = matches!(
        instruction.mnemonic(),
        Mnemonic::Vmovaps
            | Mnemonic::Vmovapd
            | Mnemonic::Vmovdqa
            | Mnemonic::Vmovdqa32
            | Mnemonic::Vmovdqa64
            | Mnemonic::Vmovntdq
            | Mnemonic::Vmovntdqa
            | Mnemonic::Vmovntpd
            | Mnemonic::Vmovntps
    );
    let legacy = instruction.encoding() == EncodingKind::Legacy
        && size == 16
        && !matches!(
            instruction.mnemonic(),
            Mnemonic::Movups | Mnemonic::Movupd | Mnemonic::Movdqu | Mnemonic::Lddqu | Mnemonic::Lea
        );
    (size > 1 && (moves || legacy)).then_some(size)
}
