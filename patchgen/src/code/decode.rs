//! Decoding one function with iced-x86.

use super::labels::{self, Labels};
use super::tables::{self, TableHint};
use super::thread_locals::{self, Relaxed};
use super::{Code, Form, Obstacle, Reference, Use};
use crate::image::{Access, Function, Image, Referent};
use iced_x86::{
    Code as Opcode, ConstantOffsets, Decoder, DecoderOptions, FlowControl, Instruction,
    InstructionInfoFactory, InstructionInfoOptions, Mnemonic, OpAccess, OpKind, Register,
};
use object::elf;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

/// Decodes the instructions of one part of a function.
pub fn instructions<'a>(image: &Image<'a>, part: Range<u64>) -> Decoder<'a> {
    let bytes = image.bytes(part.clone()).unwrap_or_default();
    Decoder::with_ip(64, bytes, part.start, DecoderOptions::NONE)
}

struct Walk<'i, 'a> {
    image: &'i Image<'a>,
    function: &'i Function,
    out: Code,
    hint: TableHint,
    info: InstructionInfoFactory,
    /// Fields of branches that stay inside their part, of which the linker may have kept relocations.
    inner_fields: HashSet<u64>,
    /// 64-bit numbers that are loaded.
    wide_numbers: Vec<u64>,
    /// Thread-local accesses that the linker made simpler.
    relaxed: Relaxed,
    /// Some operand is relative to the thread pointer.
    thread_pointer: bool,
}

/// Finds everything in `function` that depends on addresses. `starts` is scratch space.
pub fn decode_function(image: &Image<'_>, function: &Function, starts: &mut Vec<(u16, u32)>) -> Code {
    starts.clear();
    let mut walk = Walk {
        image,
        function,
        out: Code::default(),
        hint: TableHint::default(),
        info: InstructionInfoFactory::new(),
        inner_fields: HashSet::new(),
        wide_numbers: Vec::new(),
        relaxed: Relaxed::of(image, function),
        thread_pointer: false,
    };
    for (part, range) in function.parts.iter().enumerate() {
        let mut decoder = instructions(image, range.clone());
        let mut instruction = Instruction::default();
        while decoder.can_decode() {
            decoder.decode_out(&mut instruction);
            if instruction.is_invalid() {
                walk.out.obstacles.push(Obstacle::Undecodable { address: instruction.ip() });
                break;
            }
            starts.push((part as u16, (instruction.ip() - range.start) as u32));
            let offsets = decoder.get_constant_offsets(&instruction);
            walk.visit(part as u16, range, &instruction, offsets);
        }
    }
    walk.kept_relocations();
    walk.code_model();
    // Only now is it known which symbols the relocations name.
    for reference in &mut walk.out.references {
        reference.referent = image.resolve(reference.target, reference.base);
    }
    let Walk { mut out, hint, relaxed, thread_pointer, .. } = walk;
    tables::find(image, function, &mut out, &hint, starts);
    for table in &out.tables {
        out.branch_targets.extend(table.entries.iter().copied());
    }
    let through_data =
        if hint.adds_distances { distances(image, function, &mut out, starts) } else { BTreeSet::new() };
    match labels::follow(image, function, &out, starts) {
        Labels::None => out.obstacles.extend(hint.without_table(&out, &through_data)),
        Labels::Proven(targets) => out.branch_targets.extend(targets),
        Labels::Open(address) => out.obstacles.push(Obstacle::Label { address }),
    }
    out.branch_targets.sort_unstable();
    out.branch_targets.dedup();
    if image.is_rust {
        let numbers = super::lengths::in_code(image, function, &out);
        (out.lengths, out.checked) = (numbers.near, numbers.checked);
    }
    out.thread_locals = thread_locals::find(image, function, &out, &relaxed, thread_pointer);
    out
}

/// Finds the unnamed constants that hold distances from their own start to strings and other data. Gives the indirect
/// jumps that read where to in data to which such an entry leads.
fn distances(
    image: &Image<'_>,
    function: &Function,
    code: &mut Code,
    starts: &[(u16, u32)],
) -> BTreeSet<u64> {
    let leads_to_data = |table: u64| {
        let word = image.bytes(table..table + 4).and_then(|word| word.try_into().ok());
        let target = word.map(|word| table.wrapping_add_signed(i64::from(i32::from_le_bytes(word))));
        target.is_some_and(|to| to != table && image.section_at(to).is_some())
    };
    let candidates: BTreeSet<u64> = code
        .references
        .iter()
        .filter(|reference| reference.usage == Use::Address && reference.form == Form::RipRelative)
        .filter(|reference| matches!(reference.referent, Referent::Constant { .. }))
        .map(|reference| reference.target)
        .filter(|table| table.is_multiple_of(4) && code.table_at(*table).is_none() && leads_to_data(*table))
        .collect();
    if candidates.is_empty() {
        return BTreeSet::new();
    }
    let found = labels::tables_of_distances(image, function, code, starts, &candidates);
    code.distances = found.tables.intersection(&candidates).copied().collect();
    if !code.distances.is_empty() || !code.tables.is_empty() {
        return found.jumps;
    }
    // A string's start stands behind the end of another one.
    let may_be = |table: &u64| {
        let word = image.bytes(*table..table + 4).and_then(|word| word.try_into().ok());
        let target = word.map(|word| table.wrapping_add_signed(i64::from(i32::from_le_bytes(word))));
        let before = target.and_then(|to| image.bytes(to.wrapping_sub(1)..to));
        before == Some(&[0])
    };
    code.maybe_distances = candidates.into_iter().filter(may_be).collect();
    found.jumps
}

impl Walk<'_, '_> {
    fn visit(&mut self, part: u16, range: &Range<u64>, instruction: &Instruction, offsets: ConstantOffsets) {
        let start = (instruction.ip() - range.start) as u32;
        let end = start + instruction.len() as u32;
        match instruction.op0_kind() {
            OpKind::NearBranch64 if instruction.op_count() > 0 => {
                self.branch(part, instruction, start + offsets.immediate_offset() as u32, end);
                return;
            }
            OpKind::NearBranch16 | OpKind::NearBranch32 if instruction.op_count() > 0 => {
                self.out.obstacles.push(Obstacle::Undecodable { address: instruction.ip() });
                return;
            }
            _ => {}
        }
        if instruction.code() == Opcode::Mov_r64_imm64 {
            self.wide_numbers.push(instruction.immediate64());
        }
        self.hint.distance(instruction);
        if instruction.flow_control() == FlowControl::IndirectBranch {
            self.hint.indirect_jump(instruction);
        }
        if instruction.is_ip_rel_memory_operand() {
            let usage = self.usage(instruction);
            self.out.references.push(Reference {
                part,
                width: 4,
                form: Form::RipRelative,
                usage,
                offset: start + offsets.displacement_offset() as u32,
                end,
                target: instruction.ip_rel_memory_address(),
                base: None,
                section: None,
                referent: Referent::Outside { address: instruction.ip_rel_memory_address() },
            });
        } else if thread_locals::is_relative(instruction) {
            self.thread_pointer = true;
            // Libraries take offsets from GOT slots; only the thread pointer itself is a plain access there.
            let direct =
                instruction.memory_base() == Register::None && instruction.memory_index() == Register::None;
            if !self.image.tls_is_fixed && direct && instruction.memory_displacement64() != 0 {
                self.out.obstacles.push(Obstacle::ThreadLocal { address: instruction.ip() });
            }
        }
        if !self.image.position_independent {
            self.absolute(part, instruction, offsets, start, end);
        }
    }

    fn branch(&mut self, part: u16, instruction: &Instruction, field: u32, end: u32) {
        let target = instruction.near_branch_target();
        if let Some((to_part, offset)) = self.function.locate(target) {
            self.out.branch_targets.push((to_part as u16, offset as u32));
            if to_part == part as usize {
                if self.image.kept_relocations.is_some() {
                    let fields = instruction.len() as u32 - (end - field);
                    self.inner_fields.insert(instruction.ip() + u64::from(fields));
                }
                return;
            }
        }
        let width =
            if instruction.len() as u32 - (field + instruction.len() as u32 - end) >= 4 { 4 } else { 1 };
        self.out.references.push(Reference {
            part,
            width,
            form: Form::Branch { call: instruction.flow_control() == FlowControl::Call },
            usage: Use::Execute,
            offset: field,
            end,
            target,
            base: None,
            section: None,
            referent: Referent::Outside { address: target },
        });
    }

    /// What is done with the memory operand of `instruction`.
    fn usage(&mut self, instruction: &Instruction) -> Use {
        match instruction.mnemonic() {
            Mnemonic::Jmp | Mnemonic::Call => return Use::Read(8),
            // A bit number in a register reaches beyond the operand.
            Mnemonic::Lea | Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc => {
                return Use::Address;
            }
            _ => {}
        }
        let size = instruction.memory_size().size();
        let info = self.info.info_options(instruction, InstructionInfoOptions::NO_REGISTER_USAGE);
        let write = info.used_memory().iter().any(|memory| {
            !matches!(
                memory.access(),
                OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess | OpAccess::None
            )
        });
        match (write, size) {
            (true, _) => Use::Write,
            (false, 0) => Use::Address,
            (false, size) => Use::Read(size as u16),
        }
    }

    /// Numbers in code that is not position independent: an address if the linker kept a relocation for it.
    fn absolute(
        &mut self,
        part: u16,
        instruction: &Instruction,
        offsets: ConstantOffsets,
        start: u32,
        end: u32,
    ) {
        let displacement = offsets.has_displacement() && !instruction.is_ip_rel_memory_operand();
        let immediate = offsets.has_immediate().then(|| immediate_operand(instruction)).flatten();
        let fields = [
            displacement.then(|| {
                (
                    instruction.memory_displacement64(),
                    offsets.displacement_offset(),
                    offsets.displacement_size(),
                )
            }),
            immediate.map(|value| (value, offsets.immediate_offset(), offsets.immediate_size())),
        ];
        for (index, field) in fields.into_iter().enumerate() {
            let Some((value, at, size)) = field.filter(|(_, _, size)| *size >= 4) else { continue };
            let address = instruction.ip() + at as u64;
            let is_address = if self.image.kept_relocations.is_some() {
                let mut kept = self.image.kept_in(address..address + 1).iter();
                kept.any(|kept| !is_thread_local(kept.kind) && !self.relaxed.is_gone(address))
            } else {
                self.image.section_at(value).is_some()
            };
            if !is_address {
                continue;
            }
            if self.image.kept_relocations.is_none() {
                self.out.obstacles.push(Obstacle::MaybeAddress { address: instruction.ip(), value });
            }
            let kind = if size == 8 { elf::R_X86_64_64 } else { elf::R_X86_64_32S };
            self.out.references.push(Reference {
                part,
                width: size as u8,
                form: Form::Absolute { kind: kind.0, immediate: index == 1 },
                usage: Use::Address,
                offset: start + at as u32,
                end,
                target: value,
                base: None,
                section: None,
                referent: Referent::Outside { address: value },
            });
        }
        if instruction.code() == Opcode::Jmp_rm64 && instruction.memory_index_scale() == 8 {
            self.hint.indirect_jump(instruction);
        }
    }

    /// Notices code that adds 64-bit numbers to its own address or to that of the GOT (psABI, chapter 3.5).
    fn code_model(&mut self) {
        let got = self.image.got;
        let base = self.out.references.iter().find(|reference| {
            let inside = self.function.locate(reference.target).is_some_and(|place| place != (0, 0));
            let to_got = |number: &u64| got.is_some_and(|got| reference.target.wrapping_add(*number) == got);
            let own = (inside && !self.wide_numbers.is_empty()) || self.wide_numbers.iter().any(to_got);
            reference.form == Form::RipRelative
                && reference.usage == Use::Address
                && (own || got == Some(reference.target))
        });
        if let Some(base) = base {
            let part = &self.function.parts[usize::from(base.part)];
            self.out.obstacles.push(Obstacle::CodeModel { address: part.start + u64::from(base.offset) });
        }
    }

    /// Lets relocations that the linker kept settle what each field refers to. Every one of them must be accounted
    /// for.
    fn kept_relocations(&mut self) {
        if self.image.kept_relocations.is_none() {
            return;
        }
        let names_target = |kind: u32| {
            let plain = [
                elf::R_X86_64_PC32,
                elf::R_X86_64_PC64,
                elf::R_X86_64_32,
                elf::R_X86_64_32S,
                elf::R_X86_64_64,
            ];
            plain.iter().any(|plain| plain.0 == kind)
        };
        for (part, range) in self.function.parts.iter().enumerate() {
            let mut by_field: HashMap<u64, &mut Reference> = self
                .out
                .references
                .iter_mut()
                .filter(|reference| usize::from(reference.part) == part)
                .map(|reference| (range.start + u64::from(reference.offset), reference))
                .collect();
            for relocation in self.image.kept_in(range.clone()) {
                let Some(reference) = by_field.get_mut(&relocation.address) else {
                    let inner = self.inner_fields.contains(&relocation.address);
                    let accounted = is_thread_local(relocation.kind)
                        || self.relaxed.is_gone(relocation.address)
                        || relocation.kind == elf::R_X86_64_NONE.0;
                    if !inner && !accounted {
                        self.out.obstacles.push(Obstacle::Relocation { address: relocation.address });
                    }
                    continue;
                };
                let data = names_target(relocation.kind) && reference.usage != Use::Execute;
                reference.base = relocation.symbol.filter(|_| data);
                reference.section = relocation.in_section.filter(|_| data);
                if let Form::Absolute { kind, .. } = &mut reference.form {
                    *kind = relocation.kind;
                }
            }
        }
    }
}

/// The value of the operand that is a number of four or more bytes.
fn immediate_operand(instruction: &Instruction) -> Option<u64> {
    let wide = |operand: &u32| {
        matches!(
            instruction.op_kind(*operand),
            OpKind::Immediate32 | OpKind::Immediate32to64 | OpKind::Immediate64
        )
    };
    (0..instruction.op_count()).find(wide).map(|operand| instruction.immediate(operand))
}

/// Relocations of thread-local storage: what they relocate is a plain number, which [`thread_locals::find`] accounts for.
fn is_thread_local(kind: u32) -> bool {
    let kinds = [
        elf::R_X86_64_TPOFF32,
        elf::R_X86_64_TPOFF64,
        elf::R_X86_64_DTPOFF32,
        elf::R_X86_64_DTPOFF64,
        elf::R_X86_64_GOTTPOFF,
        elf::R_X86_64_GOTPC32_TLSDESC,
        elf::R_X86_64_TLSDESC_CALL,
    ];
    kinds.iter().any(|other| other.0 == kind)
}

/// True if `address` lies in constant data, where jump tables and tables of labels are.
pub(super) fn is_constant(image: &Image<'_>, address: u64) -> bool {
    image.section_at(address).is_some_and(|section| match section.access {
        Access::Read => true,
        Access::ReadAfterRelocation => section.name.starts_with(".data.rel.ro"),
        _ => false,
    })
}
