//! What relocations that the linker kept tell of thread-local variables.

use super::{Code, SlotKind, TlsField, TlsUse, Use, ZeroSlot, slot_kind};
use crate::code::instructions;
use crate::image::{Function, Image, KeptRelocation};
use iced_x86::{Instruction, Mnemonic};
use object::elf;
use std::collections::{HashMap, HashSet};

/// Code that the linker made simpler, of which it kept the relocations as they were ("ELF Handling For Thread-Local
/// Storage", section 4.5, "x86-64 linker optimizations").
#[derive(Default)]
pub(crate) struct Relaxed {
    /// Fields that are offsets from the thread pointer now, and where their variable begins.
    fields: HashMap<u64, Option<u64>>,
    /// Addresses of relocations that relocate nothing any more.
    gone: HashSet<u64>,
}

/// `mov %fs:0,%rax`.
const LOAD_POINTER: [u8; 9] = [0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0];

impl Relaxed {
    pub(crate) fn of(image: &Image<'_>, function: &Function) -> Relaxed {
        let mut relaxed = Relaxed::default();
        for part in &function.parts {
            let kept = image.kept_in(part.clone());
            for (index, relocation) in kept.iter().enumerate() {
                let loads =
                    |from: u64| image.bytes(from..from + 9).is_some_and(|bytes| bytes == LOAD_POINTER);
                let at = relocation.address;
                let call = kept.get(index + 1).map(|next| next.address);
                if relocation.kind == elf::R_X86_64_TLSGD.0 && loads(at - 4) {
                    // The call's relocation is where `lea x(%rax),%rax` has its field now.
                    relaxed.gone.insert(at);
                    if call == Some(at + 8) {
                        relaxed.gone.insert(at + 8);
                        relaxed.fields.insert(at + 8, relocation.symbol);
                    }
                } else if relocation.kind == elf::R_X86_64_TLSLD.0 && (loads(at) || loads(at + 1)) {
                    relaxed.gone.insert(at);
                    relaxed.gone.extend(call.filter(|call| *call <= at + 6));
                }
            }
        }
        relaxed
    }

    pub(super) fn is_empty(&self) -> bool {
        self.gone.is_empty()
    }

    /// True if the relocation at this address relocates nothing any more.
    pub(crate) fn is_gone(&self, address: u64) -> bool {
        self.gone.contains(&address)
    }
}

/// Kinds that stand at an offset of a variable, if that is no rip-relative operand.
fn is_offset(kind: u32) -> bool {
    let kinds = [
        elf::R_X86_64_TPOFF32,
        elf::R_X86_64_DTPOFF32,
        // Relaxed: the slot's contents came into the code.
        elf::R_X86_64_GOTTPOFF,
        elf::R_X86_64_GOTPC32_TLSDESC,
    ];
    kinds.iter().any(|other| other.0 == kind)
}

/// Replaces what was found by what the relocations say.
pub(super) fn settle(
    image: &Image<'_>,
    function: &Function,
    code: &Code,
    relaxed: &Relaxed,
    found: &mut TlsUse,
) {
    let followed = std::mem::take(found);
    let from_start = elf::R_X86_64_DTPOFF32.0;
    let mut open: HashMap<u64, (Option<u64>, bool)> =
        relaxed.fields.iter().map(|(at, base)| (*at, (*base, false))).collect();
    for part in &function.parts {
        let offsets = image.kept_in(part.clone()).iter().filter(|kept| is_offset(kept.kind));
        open.extend(offsets.map(|kept| (kept.address, (kept.symbol, kept.kind == from_start))));
    }
    for (part, range) in function.parts.iter().enumerate() {
        // The ones at rip-relative operands lead to slots.
        for reference in code.references.iter().filter(|reference| usize::from(reference.part) == part) {
            let at = range.start + u64::from(reference.offset);
            if !relaxed.fields.contains_key(&at) {
                open.remove(&at);
            }
        }
        let mut decoder = instructions(image, range.clone());
        while decoder.can_decode() {
            let instruction = decoder.decode();
            let offsets = decoder.get_constant_offsets(&instruction);
            let fields = [
                (offsets.displacement_offset(), offsets.displacement_size(), false),
                (offsets.immediate_offset(), offsets.immediate_size(), true),
            ];
            for (at, size, immediate) in fields {
                if size != 4 {
                    continue;
                }
                let Some((base, from_start)) = open.remove(&(instruction.ip() + at as u64)) else { continue };
                let start = (instruction.ip() - range.start) as u32;
                let field = field(image, &instruction, immediate, from_start);
                match field {
                    Some((from_pointer, place)) => found.fields.push(TlsField {
                        part: part as u16,
                        offset: start + at as u32,
                        end: start + instruction.len() as u32,
                        from_pointer,
                        immediate,
                        usage: Use::Address,
                        place,
                        base,
                    }),
                    None => found.uncertain = found.uncertain.or(Some(instruction.ip())),
                }
            }
        }
    }
    found.uncertain = found.uncertain.or_else(|| open.keys().min().copied());
    for reference in &code.references {
        if slot_kind(image, &reference.referent) != Some(SlotKind::Zero) {
            continue;
        }
        let start = function.parts[usize::from(reference.part)].start;
        let at = start + u64::from(reference.offset);
        let kind = image.kept_in(at..at + 1).first().map(|kept: &KeptRelocation| kept.kind);
        let meaning = match kind {
            Some(kind) if kind == elf::R_X86_64_TLSLD.0 => Some(ZeroSlot::Start),
            Some(kind) if kind == elf::R_X86_64_TLSGD.0 => Some(ZeroSlot::Variable),
            // A descriptor of the whole storage has a relocation as that of a variable has.
            _ => followed.zero_slot(reference.part, reference.end).filter(|_| followed.uncertain.is_none()),
        };
        match meaning {
            Some(meaning) => found.zero_slots.push(((reference.part, reference.end), meaning)),
            None => found.uncertain = found.uncertain.or(Some(at)),
        }
    }
}

/// What a field of an instruction counts from, and the place that it leads to. `from_start` says that it was an offset
/// from the start of the image's storage when it was compiled.
fn field(
    image: &Image<'_>,
    instruction: &Instruction,
    immediate: bool,
    from_start: bool,
) -> Option<(bool, u64)> {
    let value = if immediate {
        let last = instruction.op_count().checked_sub(1)?;
        instruction.immediate(last) as i32
    } else {
        instruction.memory_displacement64() as i32
    };
    if instruction.mnemonic() == Mnemonic::Sub && immediate {
        return None;
    }
    let value = i64::from(value);
    // In an executable the linker turns offsets from the start into ones from the thread pointer, but for code that
    // calls `__tls_get_addr` anyway.
    let from_pointer = image.tls_is_fixed && (!from_start || value < 0);
    // An index may be taken off, so that it leads outside: `table[year - 1900]`.
    let place = if from_pointer { value.wrapping_add_unsigned(image.tls.size) } else { value };
    Some((from_pointer, place as u64))
}
