//! Numbers in code that tell where the image's thread-local variables are.
//!
//! They shift with the layout of thread-local storage, and nothing but their use tells them from other numbers: they are
//! added to the thread pointer (local exec), or to the start of the image's storage (local dynamic). Compilers leave
//! four bytes for each, which the linker fills in (psABI, "Thread-Local Storage"; "ELF Handling For Thread-Local
//! Storage", section 4). Where the linker kept its relocations these tell; else registers are followed.

use super::{Code, Use};
use crate::image::{Function, Image, Pointer, Referent};
use iced_x86::{Instruction, Register};
use object::elf;

mod flow;
mod kept;

pub(super) use kept::Relaxed;

/// A four-byte field that tells where a thread-local variable of the image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsField {
    /// Part of the function: 0 is the body.
    pub part: u16,
    /// Offset of the field in the part.
    pub offset: u32,
    /// Offset of the next instruction in the part.
    pub end: u32,
    /// True if the number counts from the thread pointer, false if from the start of the image's storage.
    pub from_pointer: bool,
    /// True if the field is the immediate operand, false if it is a displacement.
    pub immediate: bool,
    /// What is done there.
    pub usage: Use,
    /// Offset of the place from the start of the image's storage.
    pub place: u64,
    /// Where in it the variable begins that is meant, if a relocation tells.
    pub base: Option<u64>,
}

/// What a slot means that holds the image and the offset 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZeroSlot {
    /// The start of the image's storage: offsets of variables are added to it (local dynamic).
    Start,
    /// The variable that is there.
    Variable,
}

/// What a function has to do with thread-local variables of its image, beside slots that name them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsUse {
    /// Fields in the order of part and offset.
    pub fields: Vec<TlsField>,
    /// What slots of offset 0 mean, by part and end of the instruction that takes the slot's address.
    pub zero_slots: Vec<((u16, u32), ZeroSlot)>,
    /// The address of an instruction from which on it is not certain which numbers are such fields.
    pub uncertain: Option<u64>,
}

impl TlsUse {
    /// The meaning of the slot of offset 0 that a reference leads to.
    pub fn zero_slot(&self, part: u16, end: u32) -> Option<ZeroSlot> {
        self.zero_slots.iter().find(|(at, _)| *at == (part, end)).map(|(_, meaning)| *meaning)
    }
}

/// How the thread-local machinery sees a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SlotKind {
    /// It holds an offset from the thread pointer (`R_X86_64_TPOFF64`).
    Offset,
    /// A function takes its address and gives the address or the offset of one variable.
    Variable,
    /// The same, where that may also be the start of the image's storage.
    Zero,
}

fn slot_kind(image: &Image<'_>, referent: &Referent) -> Option<SlotKind> {
    let Referent::Slot { address } = referent else { return None };
    match image.linkage.pointer_at(*address)? {
        Pointer::ThreadLocal { kind, .. } if *kind == elf::R_X86_64_TPOFF64.0 => Some(SlotKind::Offset),
        Pointer::ThreadLocal { name, addend: 0, .. } if name.is_empty() => Some(SlotKind::Zero),
        Pointer::ThreadLocal { .. } => Some(SlotKind::Variable),
        _ => None,
    }
}

/// True for memory operands that are relative to the thread pointer, but for the stack protector's canary, which is at
/// the same place in every program (psABI, `tcbhead_t.stack_guard`).
pub(super) fn is_relative(instruction: &Instruction) -> bool {
    let relative =
        instruction.segment_prefix() == Register::FS || instruction.memory_segment() == Register::FS;
    relative && !(is_direct(instruction) && instruction.memory_displacement64() == 0x28)
}

fn is_direct(instruction: &Instruction) -> bool {
    instruction.memory_base() == Register::None && instruction.memory_index() == Register::None
}

/// Finds what `function` has to do with thread-local variables of the image. `relative` says that it has operands that
/// are relative to the thread pointer.
pub(super) fn find(
    image: &Image<'_>,
    function: &Function,
    code: &Code,
    relaxed: &Relaxed,
    relative: bool,
) -> TlsUse {
    let zero = || {
        code.references
            .iter()
            .any(|reference| slot_kind(image, &reference.referent).is_some_and(|kind| kind == SlotKind::Zero))
    };
    let follow = if image.tls.size == 0 { false } else { relative || !relaxed.is_empty() || zero() };
    if !follow {
        // Whoever adds to the thread pointer without storage of the image means something else.
        return TlsUse::default();
    }
    let mut found = flow::follow(image, function, code);
    if image.kept_relocations.is_some() {
        kept::settle(image, function, code, relaxed, &mut found);
    }
    found.fields.sort_by_key(|field| (field.part, field.offset));
    found.zero_slots.sort_by_key(|(at, _)| *at);
    found
}
