//! Functions as lines of text with symbolic operands, the same text for the same thing in both builds.

use crate::code::{Code, Form, Program, Reference, Use, instructions, is_text};
use crate::image::{Extent, FunctionId, Pointer, Referent, Slot};
use crate::references::part_sections;
use iced_x86::{
    Decoder, DecoderOptions, Formatter as _, Instruction, IntelFormatter, Mnemonic, OpKind, SymbolResolver,
    SymbolResult,
};
use patchfile::format::NEAR_JUMP_LEN;
use patchfile::{Function, Patch, Place, Relocation, RelocationKind, Section, SectionContents, SectionKind};

/// A place in a function: its part, 0 being the body, and the offset in it.
type Position = (usize, u64);

/// One instruction.
pub(crate) struct Line {
    /// Where it is.
    pub(crate) position: Position,
    /// Mnemonic and operands; of a branch inside the function without where it leads.
    pub(crate) text: String,
    /// Where a branch inside the function leads.
    pub(crate) target: Option<Position>,
}

impl Line {
    /// The line for people.
    pub(super) fn shown(&self) -> String {
        let target = self.target.map(|target| format!(" {}", position_text(target))).unwrap_or_default();
        format!("{:>8}  {}{target}", position_text(self.position), self.text)
    }
}

fn position_text((part, offset): Position) -> String {
    if part == 0 { format!("+{offset:x}") } else { format!("cold+{offset:x}") }
}

/// The code of a function of an image, without padding.
pub(crate) fn image_lines(program: &Program<'_>, id: FunctionId) -> Vec<Line> {
    let function = program.image.function(id);
    let code = program.code(id);
    let mut references = code.references.iter().peekable();
    let mut lines = Vec::new();
    for (part, range) in function.parts.iter().enumerate() {
        for instruction in instructions(&program.image, range.clone()) {
            let end = (instruction.next_ip() - range.start) as u32;
            let mut operands = Operands::default();
            let mut target = None;
            while let Some(reference) =
                references.next_if(|next| usize::from(next.part) == part && next.end == end)
            {
                match reference.referent {
                    Referent::Code { function, part, offset }
                        if function == id && (part, offset) != (0, 0) =>
                    {
                        target = Some((part, offset));
                    }
                    _ => operands.add(
                        matches!(reference.form, Form::Absolute { immediate: true, .. }),
                        old_operand(program, code, &function.name, reference),
                    ),
                }
            }
            if target.is_none() && operands.place.is_none() && is_branch(&instruction) {
                let offset = instruction.near_branch_target().wrapping_sub(range.start);
                target = Some((part, offset));
            }
            push(&mut lines, (part, instruction.ip() - range.start), &instruction, operands, target);
        }
    }
    lines
}

fn old_operand(program: &Program<'_>, code: &Code, function: &str, reference: &Reference) -> String {
    if code.table_at(reference.target).is_some() {
        return table_name(function);
    }
    name(program, &reference.referent, reference.usage)
}

/// The new code of a function of the patch, without padding. Places in the target have the target's names.
pub(super) fn new_lines(patch: &Patch, function: &Function, program: &Program<'_>) -> Vec<Line> {
    let sections = part_sections(patch, function);
    let total: u64 = sections.iter().map(|index| patch.sections[*index].contents.len()).sum();
    let mut added = total.saturating_sub(function.new_size);
    let mut lines = Vec::new();
    for (part, index) in sections.iter().enumerate() {
        let section = &patch.sections[*index];
        let SectionContents::Bytes(bytes) = &section.contents else { continue };
        let own = own_code(section, bytes, &mut added);
        let mut relocations = section.relocations.iter().peekable();
        let mut decoder = Decoder::with_ip(64, own, 0, DecoderOptions::NONE);
        while decoder.can_decode() {
            let instruction = decoder.decode();
            let fields = decoder.get_constant_offsets(&instruction);
            let mut operands = Operands::default();
            let mut target = None;
            while let Some(relocation) = relocations.next_if(|next| next.offset < instruction.next_ip()) {
                let symbol = &patch.symbols[relocation.symbol];
                let offset = distance(relocation, instruction.next_ip());
                let inside = match symbol.place {
                    Place::Patch { section, offset: start } => sections
                        .iter()
                        .position(|own| *own == section)
                        .map(|part| (part, start.wrapping_add_signed(offset))),
                    Place::Target(_) | Place::Import => None,
                };
                if inside.is_some() {
                    target = inside;
                    continue;
                }
                let at_immediate = instruction.ip() + fields.immediate_offset() as u64 == relocation.offset;
                let immediate = fields.has_immediate() && at_immediate && !is_branch(&instruction);
                let usage = usage(&instruction);
                operands.add(immediate, new_operand(patch, relocation, offset, usage, program));
            }
            if target.is_none() && operands.place.is_none() && is_branch(&instruction) {
                let to = instruction.near_branch_target();
                match jump_at(section, to).filter(|_| to >= own.len() as u64) {
                    Some(jump) => {
                        let offset = distance(jump, to + NEAR_JUMP_LEN as u64);
                        operands.add(false, new_operand(patch, jump, offset, Use::Execute, program));
                    }
                    None => target = Some((part, to)),
                }
            }
            push(&mut lines, (part, instruction.ip()), &instruction, operands, target);
        }
    }
    lines
}

/// The code of one part without the near jumps behind it, by which short branches leave the function: the patch adds
/// them, at most `added` bytes.
fn own_code<'b>(section: &Section, bytes: &'b [u8], added: &mut u64) -> &'b [u8] {
    let mut own = bytes;
    while *added >= NEAR_JUMP_LEN as u64
        && let Some((rest, jump)) = own.split_last_chunk::<NEAR_JUMP_LEN>()
        && jump[0] == NEAR_JUMP
        && jump_at(section, rest.len() as u64).is_some()
    {
        own = rest;
        *added -= NEAR_JUMP_LEN as u64;
    }
    own
}

/// `jmp rel32`.
const NEAR_JUMP: u8 = 0xe9;

/// The relocation of a near jump at an offset of a section.
fn jump_at(section: &Section, offset: u64) -> Option<&Relocation> {
    section.relocations.iter().find(|relocation| relocation.offset == offset.wrapping_add(1))
}

/// The distance from the symbol to the place that an operand means. In a rip-relative field the addend includes the
/// way from the field to the next instruction.
fn distance(relocation: &Relocation, end: u64) -> i64 {
    match relocation.kind {
        RelocationKind::Pc32 | RelocationKind::Pc64 => {
            relocation.addend.wrapping_add(end.wrapping_sub(relocation.offset) as i64)
        }
        _ => relocation.addend,
    }
}

fn new_operand(
    patch: &Patch,
    relocation: &Relocation,
    offset: i64,
    usage: Use,
    program: &Program<'_>,
) -> String {
    let symbol = &patch.symbols[relocation.symbol];
    let section = match symbol.place {
        Place::Target(base) => {
            let address = base.0.wrapping_add_signed(offset);
            let referent = program.image.resolve(address, (offset != 0).then_some(base.0));
            return name(program, &referent, usage);
        }
        Place::Patch { section, .. } => &patch.sections[section],
        Place::Import => return with_offset(&symbol.name, offset),
    };
    if let Some(function) = symbol.name.strip_suffix(".table").filter(|_| section.name.starts_with(".rodata"))
    {
        return table_name(function);
    }
    if let (SectionContents::Bytes(bytes), SectionKind::ReadOnly, true) =
        (&section.contents, section.kind, section.relocations.is_empty())
        && symbol.name.starts_with("constant_")
        && let Some(rest) = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..))
    {
        let size = match usage {
            Use::Read(size) => usize::from(size),
            // Several strings may stand in one constant.
            _ => match rest.iter().position(|byte| *byte == 0) {
                Some(nul) if rest[..nul].iter().all(|byte| is_text(*byte)) => nul + 1,
                _ => rest.len(),
            },
        };
        return constant(&rest[..size.min(rest.len())], usage != Use::Address);
    }
    with_offset(&format!("new:{}", symbol.name), offset)
}

/// Texts that stand for addresses in one instruction.
#[derive(Default)]
struct Operands {
    /// Of a branch's target or a memory operand.
    place: Option<String>,
    /// Of an immediate operand.
    number: Option<String>,
}

impl Operands {
    fn add(&mut self, immediate: bool, text: String) {
        let operand = if immediate { &mut self.number } else { &mut self.place };
        *operand = Some(text);
    }
}

impl SymbolResolver for Operands {
    fn symbol(
        &mut self,
        instruction: &Instruction,
        _operand: u32,
        instruction_operand: Option<u32>,
        address: u64,
        _size: u32,
    ) -> Option<SymbolResult<'_>> {
        let text = match instruction.op_kind(instruction_operand?) {
            OpKind::NearBranch64 | OpKind::Memory => self.place.as_deref(),
            _ => self.number.as_deref(),
        };
        text.map(|text| SymbolResult::with_str(address, text))
    }
}

fn push(
    lines: &mut Vec<Line>,
    position: Position,
    instruction: &Instruction,
    operands: Operands,
    target: Option<Position>,
) {
    if instruction.mnemonic() == Mnemonic::Nop || instruction.mnemonic() == Mnemonic::Int3 {
        return;
    }
    let mut text = String::new();
    if instruction.is_invalid() {
        text.push_str("(no instruction)");
    } else if target.is_some() && is_branch(instruction) {
        text = format!("{:?}", instruction.mnemonic()).to_ascii_lowercase();
    } else {
        let mut formatter = IntelFormatter::with_options(Some(Box::new(operands)), None);
        let options = formatter.options_mut();
        options.set_space_after_operand_separator(true);
        options.set_show_branch_size(false);
        options.set_branch_leading_zeros(false);
        options.set_hex_prefix("0x");
        options.set_hex_suffix("");
        options.set_uppercase_hex(false);
        formatter.format(instruction, &mut text);
    }
    lines.push(Line { position, text, target });
}

fn is_branch(instruction: &Instruction) -> bool {
    instruction.op_count() > 0 && instruction.op0_kind() == OpKind::NearBranch64
}

/// How an instruction of the patch uses the place that it names.
fn usage(instruction: &Instruction) -> Use {
    match instruction.memory_size().size() {
        0 => Use::Address,
        _ if instruction.mnemonic() == Mnemonic::Lea || !instruction.is_ip_rel_memory_operand() => {
            Use::Address
        }
        size => Use::Read(size as u16),
    }
}

fn table_name(function: &str) -> String {
    format!("jump table of {}", crate::image::stem(function))
}

/// The name of what is at a place of the target.
fn name(program: &Program<'_>, referent: &Referent, usage: Use) -> String {
    let image = &program.image;
    let import = |slot: u64, kind: &str| match image.slot(slot) {
        Some(Slot::Dynamic(Pointer::Symbol { name, .. })) => format!("{name}@{kind}"),
        _ => format!("slot {slot:#x}@{kind}"),
    };
    match *referent {
        Referent::Code { function, part, offset } => {
            let name = &image.function(function).name;
            let part = if part == 0 { "" } else { ".cold" };
            with_offset(&format!("{name}{part}"), offset as i64)
        }
        Referent::Stub { slot } => import(slot, "plt"),
        Referent::Slot { address } => import(address, "got"),
        Referent::Object { id, offset, .. } => with_offset(&image.object(id).name, offset),
        Referent::Constant { address, .. } => match (usage, program.constant(address)) {
            (Use::Read(size), _) => {
                constant(image.bytes(address..address + u64::from(size)).unwrap_or_default(), true)
            }
            (_, Some((Extent::Text(_), text))) => constant(text, false),
            _ => "unnamed constant".to_owned(),
        },
        Referent::Unnamed { .. } => "unnamed data".to_owned(),
        Referent::Outside { address } => format!("{address:#x}"),
    }
}

fn with_offset(name: &str, offset: i64) -> String {
    if offset == 0 { name.to_owned() } else { format!("{name}{offset:+#x}") }
}

/// A constant by its contents: as text where only its address is used.
fn constant(bytes: &[u8], number: bool) -> String {
    if number {
        return format!("constant {}", hex::encode(bytes));
    }
    format!("{:?}", String::from_utf8_lossy(crate::code::without_padding(bytes)))
}
