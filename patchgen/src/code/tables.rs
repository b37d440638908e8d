//! Jump tables of `switch` statements.
//!
//! In position-independent code a table holds 32-bit distances from its own start to the cases; in other code it
//! holds their addresses. The number of entries is not stored anywhere, so a table is taken to reach as far as
//! its entries lead to instructions of the function: too many entries do no harm in a private copy.

use super::decode::is_constant;
use super::{Code, Form, Obstacle, Use};
use crate::image::{Function, Image};
use iced_x86::{Instruction, OpKind};

/// Most entries that a table is believed to have.
const MAX_ENTRIES: usize = 1 << 16;

/// A jump table that one function uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JumpTable {
    /// Address of the first entry.
    pub address: u64,
    /// True if entries are 64-bit addresses, false if they are 32-bit distances from `address`.
    pub absolute: bool,
    /// Where each entry leads: part and offset.
    pub entries: Vec<(u16, u32)>,
}

impl JumpTable {
    /// Bytes of one entry.
    pub fn entry_size(&self) -> u64 {
        if self.absolute { 8 } else { 4 }
    }

    /// Entries that lie before `boundary`, the next address that something refers to.
    pub fn entries_before(&self, boundary: Option<u64>) -> &[(u16, u32)] {
        let limit = boundary.map_or(usize::MAX, |end| ((end - self.address) / self.entry_size()) as usize);
        &self.entries[..self.entries.len().min(limit.max(1))]
    }
}

/// What the walk over the instructions noticed.
#[derive(Default)]
pub(super) struct TableHint {
    /// Address of the first indirect jump that must have a table: `notrack`, or indexed.
    certain: Option<u64>,
    /// There is an indirect jump.
    any: Option<u64>,
    /// There is a load of a sign-extended, indexed 32-bit number, as from a table of distances.
    pub(super) reads_distances: bool,
}

impl TableHint {
    pub(super) fn indirect_jump(&mut self, instruction: &Instruction) {
        // A jump through a GOT slot is a tail call.
        if instruction.is_ip_rel_memory_operand() {
            return;
        }
        self.any.get_or_insert(instruction.ip());
        // gcc and clang mark jumps through tables with `notrack` (3e) under -fcf-protection=branch. A jump through
        // an indexed memory operand has a table too.
        let notrack = instruction.op0_kind() == OpKind::Register
            && instruction.segment_prefix() == iced_x86::Register::DS;
        let indexed = instruction.op0_kind() == OpKind::Memory
            && instruction.memory_base() == iced_x86::Register::None
            && instruction.memory_index() != iced_x86::Register::None;
        if notrack || indexed {
            self.certain.get_or_insert(instruction.ip());
        }
    }
}

/// Finds the tables of a function with an indirect jump: unnamed constants whose address it takes and whose first
/// entry leads to one of its instructions.
pub(super) fn find(
    image: &Image<'_>,
    function: &Function,
    code: &mut Code,
    hint: &TableHint,
    starts: &[(u16, u32)],
) {
    let Some(any) = hint.any else { return };
    let case = |address: u64| -> Option<(u16, u32)> {
        let Some((part, offset)) = function.locate(address) else {
            // Compilers let cases that cannot happen lead to the end of the code.
            let part = function.parts.iter().position(|part| part.end == address)?;
            return Some((part as u16, (address - function.parts[part].start) as u32));
        };
        let place = (part as u16, offset as u32);
        starts.binary_search(&place).is_ok().then_some(place)
    };
    for reference in &code.references {
        let address = reference.target;
        let candidate = reference.usage == Use::Address || matches!(reference.usage, Use::Read(8));
        if !candidate
            || !is_constant(image, address)
            || code.tables.iter().any(|table| table.address == address)
        {
            continue;
        }
        let absolute = matches!(reference.form, Form::Absolute { .. });
        let Some(section) = image.section_at(address) else { continue };
        let rest = &section.data[((address - section.range.start) as usize).min(section.data.len())..];
        let entries: Vec<_> = if absolute {
            let words =
                rest.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
            words.map_while(case).take(MAX_ENTRIES).collect()
        } else {
            let words =
                rest.chunks_exact(4).map(|word| i32::from_le_bytes(word.try_into().unwrap_or_default()));
            words
                .map_while(|distance| case(address.wrapping_add_signed(i64::from(distance))))
                .take(MAX_ENTRIES)
                .collect()
        };
        if !entries.is_empty() {
            code.tables.push(JumpTable { address, absolute, entries });
        }
    }
    code.tables.sort_by_key(|table| table.address);
    let must_have = hint.certain.or(hint.reads_distances.then_some(any));
    if let (Some(address), true) = (must_have, code.tables.is_empty()) {
        code.obstacles.push(Obstacle::IndirectJump { address });
    }
}
