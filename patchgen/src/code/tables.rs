//! Jump tables of `switch` statements.
//!
//! In position-independent code a table holds 32-bit distances from its own start to the cases; in other code it
//! holds their addresses. The number of entries is not stored anywhere, so a table is taken to reach as far as
//! its entries lead to instructions of the function: too many entries do no harm in a private copy.

use super::decode::is_constant;
use super::{Code, Form, Obstacle, Use};
use crate::image::{Access, Function, Image, Pointer};
use iced_x86::{Instruction, Mnemonic, OpKind, Register};
use object::elf;
use std::collections::BTreeSet;

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
    /// All indirect jumps.
    jumps: Vec<u64>,
    /// There is a load of a sign-extended, indexed 32-bit number, as from a table of distances.
    pub(super) reads_distances: bool,
    /// Such a load's result, the registers of which one has the table's address, and how many instructions ago that was.
    loaded: Option<(Register, [Register; 2], u32)>,
    /// What was loaded so is added to the table's address.
    pub(super) adds_distances: bool,
}

impl TableHint {
    pub(super) fn indirect_jump(&mut self, instruction: &Instruction) {
        // A jump through a GOT slot is a tail call.
        if instruction.is_ip_rel_memory_operand() {
            return;
        }
        self.jumps.push(instruction.ip());
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

    /// Notices the sum of a table's address and what is loaded from the table.
    pub(super) fn distance(&mut self, instruction: &Instruction) {
        const NEAR: u32 = 12;
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        if instruction.mnemonic() == Mnemonic::Movsxd
            && instruction.op1_kind() == OpKind::Memory
            && index != Register::None
        {
            self.reads_distances |= instruction.memory_index_scale() == 4;
            // The index may have been scaled before, and either register may have the address then.
            let either = if instruction.memory_index_scale() == 1 { index } else { base };
            self.loaded = Some((instruction.op0_register(), [base, either], 0));
            return;
        }
        let Some((loaded, bases, ago)) = &mut self.loaded else { return };
        *ago += 1;
        let operands = match instruction.mnemonic() {
            Mnemonic::Add => [instruction.op0_register(), instruction.op1_register()],
            // An operand in memory is the sum as well.
            _ => [instruction.memory_base(), instruction.memory_index()],
        };
        self.adds_distances |=
            bases.iter().any(|base| operands == [*loaded, *base] || operands == [*base, *loaded]);
        if *ago == NEAR {
            self.loaded = None;
        }
    }

    /// The obstacle that an indirect jump is whose table was not found. Those `through_data` have none.
    pub(super) fn without_table(&self, code: &Code, through_data: &BTreeSet<u64>) -> Option<Obstacle> {
        let open = self.jumps.iter().copied().find(|jump| !through_data.contains(jump));
        let must_have = self.certain.or(open.filter(|_| self.reads_distances));
        must_have.filter(|_| code.tables.is_empty()).map(|address| Obstacle::IndirectJump { address })
    }
}

/// Finds the tables of a function with an indirect jump: constants whose address it takes and whose first entry leads to
/// one of its instructions. Those of `switch` have no name; arrays of labels may have one.
pub(super) fn find(
    image: &Image<'_>,
    function: &Function,
    code: &mut Code,
    hint: &TableHint,
    starts: &[(u16, u32)],
) {
    if hint.jumps.is_empty() {
        return;
    }
    let case = |address: u64| -> Option<(u16, u32)> {
        let Some((part, offset)) = function.locate(address) else {
            // Compilers let cases that cannot happen lead to the end of the code.
            let part = function.parts.iter().position(|part| part.end == address)?;
            let end = (part as u16, (address - function.parts[part].start) as u32);
            return image.function_at(address).is_none().then_some(end);
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
        let absolute =
            matches!(reference.form, Form::Absolute { .. }) || pointer_at(image, address).is_some();
        let Some(section) = image.section_at(address) else { continue };
        let rest = &section.data[((address - section.range.start) as usize).min(section.data.len())..];
        let object = image.object_at(address).map(|(id, _)| image.object(id)).filter(|object| object.sized);
        let entries: Vec<_> = if absolute {
            let end = object.map_or(section.range.end, |object| object.range.end);
            let words = (address..end).step_by(8).map_while(|at| pointer_at(image, at));
            let entries: Vec<_> = words.map_while(case).take(MAX_ENTRIES).collect();
            // A table of functions may begin with the one that uses it.
            let whole = object.is_none() || entries.len() as u64 * 8 == end - address;
            let labels = if object.is_none() && section.access == Access::Read {
                entries.iter().any(|entry| *entry != (0, 0))
            } else {
                entries.iter().all(|entry| *entry != (0, 0))
            };
            if whole && labels { entries } else { Vec::new() }
        } else if object.is_some() {
            Vec::new()
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
}

/// The address that the word at `at` holds once the image is loaded.
fn pointer_at(image: &Image<'_>, at: u64) -> Option<u64> {
    match image.linkage.pointer_at(at) {
        Some(Pointer::Address(address)) => return Some(*address),
        Some(_) => return None,
        None => {}
    }
    let kept = || image.kept_in(at..at + 1).iter().any(|kept| kept.kind == elf::R_X86_64_64.0);
    if image.position_independent || !(image.may_hide_pointers() || kept()) {
        return None;
    }
    let word = image.bytes(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(word.try_into().ok()?))
}
