//! Decoding one function with iced-x86.

use super::tables::{self, TableHint};
use super::{Code, Form, Obstacle, Reference, Use};
use crate::image::{Access, Function, Image};
use iced_x86::{
    Code as Opcode, ConstantOffsets, Decoder, DecoderOptions, FlowControl, Instruction,
    InstructionInfoFactory, InstructionInfoOptions, Mnemonic, OpAccess, OpKind, Register,
};
use object::elf;
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
            walk.visit(part as u16, range, &instruction, &offsets);
        }
    }
    walk.kept_relocations();
    let Walk { mut out, hint, .. } = walk;
    tables::find(image, function, &mut out, &hint, starts);
    for table in &out.tables {
        out.branch_targets.extend(table.entries.iter().copied());
    }
    out.branch_targets.sort_unstable();
    out.branch_targets.dedup();
    out
}

impl Walk<'_, '_> {
    fn visit(&mut self, part: u16, range: &Range<u64>, instruction: &Instruction, offsets: &ConstantOffsets) {
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
            });
        } else if instruction.segment_prefix() == Register::FS || instruction.memory_segment() == Register::FS
        {
            // 0x28 is the stack protector's canary (psABI tcbhead), the same for every program.
            let displacement = instruction.memory_displacement64();
            let direct =
                instruction.memory_base() == Register::None && instruction.memory_index() == Register::None;
            let canary = direct && displacement == 0x28;
            // Libraries take offsets from GOT slots; only the thread pointer itself is a plain access there.
            let from_slot = !self.image.tls_is_fixed && (!direct || displacement == 0);
            if !canary && !from_slot {
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
        });
    }

    /// What is done with the memory operand of `instruction`.
    fn usage(&mut self, instruction: &Instruction) -> Use {
        match instruction.mnemonic() {
            Mnemonic::Lea => return Use::Address,
            Mnemonic::Jmp | Mnemonic::Call => return Use::Read(8),
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
        offsets: &ConstantOffsets,
        start: u32,
        end: u32,
    ) {
        let fields = [
            (offsets.has_displacement(), offsets.displacement_offset(), offsets.displacement_size()),
            (offsets.has_immediate(), offsets.immediate_offset(), offsets.immediate_size()),
        ];
        for (index, (present, at, size)) in fields.into_iter().enumerate() {
            if !present || size < 4 || (index == 0 && instruction.is_ip_rel_memory_operand()) {
                continue;
            }
            let value =
                if index == 0 { instruction.memory_displacement64() } else { instruction.immediate(1) };
            let value =
                if index == 1 && instruction.op_count() == 1 { instruction.immediate(0) } else { value };
            if self.image.section_at(value).is_none() {
                continue;
            }
            if self.image.kept_relocations.is_none() {
                self.out.obstacles.push(Obstacle::MaybeAddress { address: instruction.ip(), value });
            }
            let kind = if size == 8 { elf::R_X86_64_64 } else { elf::R_X86_64_32S };
            self.out.references.push(Reference {
                part,
                width: size as u8,
                form: Form::Absolute { kind: kind.0 },
                usage: Use::Address,
                offset: start + at as u32,
                end,
                target: value,
                base: None,
            });
        }
        if instruction.code() == Opcode::Jmp_rm64 && instruction.memory_index_scale() == 8 {
            self.hint.indirect_jump(instruction);
        }
    }

    /// Lets relocations that the linker kept settle what each field refers to.
    fn kept_relocations(&mut self) {
        if self.image.kept_relocations.is_none() {
            return;
        }
        for (part, range) in self.function.parts.iter().enumerate() {
            let kept = self.image.kept_in(range.clone());
            let mut at = 0;
            self.out.references.retain_mut(|reference| {
                if usize::from(reference.part) != part {
                    return true;
                }
                let address = range.start + u64::from(reference.offset);
                while at < kept.len() && kept[at].address < address {
                    at += 1;
                }
                match kept.get(at).filter(|relocation| relocation.address == address) {
                    Some(relocation) => {
                        let plain = [
                            elf::R_X86_64_PC32,
                            elf::R_X86_64_PC64,
                            elf::R_X86_64_32,
                            elf::R_X86_64_32S,
                            elf::R_X86_64_64,
                        ];
                        let names_target = plain.iter().any(|kind| kind.0 == relocation.kind);
                        reference.base =
                            relocation.symbol.filter(|_| names_target && reference.usage != Use::Execute);
                        if let Form::Absolute { kind } = &mut reference.form {
                            *kind = relocation.kind;
                        }
                        true
                    }
                    // A number that looks like an address, but the linker did not relocate it.
                    None => !matches!(reference.form, Form::Absolute { .. }),
                }
            });
        }
    }
}

/// True if `address` lies in constant data, where jump tables are.
pub(super) fn is_constant(image: &Image<'_>, address: u64) -> bool {
    image.section_at(address).is_some_and(|section| section.access == Access::Read)
}
