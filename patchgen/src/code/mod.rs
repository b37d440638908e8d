//! Functions as instruction streams: what their bytes refer to.

mod decode;
mod dereference;
mod descent;
mod escape;
mod labels;
mod lengths;
mod library;
mod tables;
mod templates;
mod thread_locals;
mod values;

pub use decode::{decode_function, instructions};
pub use dereference::reads_first;
pub use descent::descent;
pub use escape::{EndUse, end_use, keeps_address, lends_address, stores_address};
pub use tables::JumpTable;
pub(crate) use templates::template_len;
pub use thread_locals::{TlsField, TlsUse, ZeroSlot};

use crate::image::{Access, Image, Referent};
use rayon::prelude::*;
use std::collections::HashSet;
use std::ffi::CStr;

/// How an instruction uses an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// `call`, `jmp`, `jcc`: the field is relative to the next instruction.
    Branch {
        /// True for `call`.
        call: bool,
    },
    /// A rip-relative memory operand.
    RipRelative,
    /// An absolute address in a 32-bit field, zero-extended or sign-extended, or in a 64-bit field.
    Absolute {
        /// `R_X86_64_32`, `R_X86_64_32S` or `R_X86_64_64`.
        kind: u32,
        /// True if the field is the immediate operand, false if it is a displacement.
        immediate: bool,
    },
}

/// What an instruction does at the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    /// Executes it.
    Execute,
    /// Takes the address (`lea`, an immediate, an indexed operand): the extent of what is used is not known.
    Address,
    /// Reads that many bytes and no more.
    Read(u16),
    /// Writes, or reads and writes.
    Write,
}

/// A field of an instruction that depends on where something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Part of the function: 0 is the body.
    pub part: u16,
    /// Width of the field in bytes: 1, 4 or 8.
    pub width: u8,
    /// What the field is.
    pub form: Form,
    /// What is done there.
    pub usage: Use,
    /// Offset of the field in the part.
    pub offset: u32,
    /// Offset of the next instruction in the part.
    pub end: u32,
    /// The address referred to.
    pub target: u64,
    /// Address of the symbol in the relocation that the linker kept, if that is a named symbol.
    pub base: Option<u64>,
    /// Address of the section in which what is meant lies, if that relocation tells.
    pub section: Option<u64>,
    /// What `target` refers to.
    pub referent: Referent,
}

/// Why a function's references cannot all be accounted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Bytes that are no instruction.
    Undecodable {
        /// Address of the bytes.
        address: u64,
    },
    /// A `notrack` indirect jump without a jump table that is understood.
    IndirectJump {
        /// Address of the jump.
        address: u64,
    },
    /// A number in code without relocations that may be an address.
    MaybeAddress {
        /// Address of the instruction.
        address: u64,
        /// The number.
        value: u64,
    },
    /// A field that the linker relocated, but no operand that is understood.
    Relocation {
        /// Address of the field.
        address: u64,
    },
    /// Distances to data that are plain numbers (-mcmodel=medium or large).
    CodeModel {
        /// Address of the instruction that loads the base of the distances.
        address: u64,
    },
    /// An indirect jump that may go to a label of which an earlier call took the address.
    Label {
        /// Address of the jump.
        address: u64,
    },
    /// A thread-local access of a library that is a plain number.
    ThreadLocal {
        /// Address of the instruction.
        address: u64,
    },
}

/// A function's code: everything in it that depends on addresses.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// References in the order of part and offset.
    pub references: Vec<Reference>,
    /// Jump tables by ascending address.
    pub tables: Vec<JumpTable>,
    /// Targets of branches inside the function: part and offset, sorted, without duplicates.
    pub branch_targets: Vec<(u16, u32)>,
    /// In Rust programs, addresses of data with the numbers near by, among which their lengths are.
    pub(crate) lengths: Vec<(u64, u64)>,
    /// In Rust programs, addresses of data with the lengths below which the function checks indices.
    pub(crate) checked: Vec<(u64, u64)>,
    /// Unnamed constants that hold 32-bit distances from their own start to data.
    pub distances: Vec<u64>,
    /// Unnamed constants that may do so.
    pub maybe_distances: Vec<u64>,
    /// What it has to do with thread-local variables of its image.
    pub thread_locals: TlsUse,
    /// What stands in the way of patching it.
    pub obstacles: Vec<Obstacle>,
}

impl Code {
    /// The jump table at `address`.
    pub fn table_at(&self, address: u64) -> Option<&JumpTable> {
        self.tables.iter().find(|table| table.address == address)
    }
}

/// The code of all functions of an image, and the places in read-only data that anything refers to.
pub struct Program<'a> {
    /// The image.
    pub image: Image<'a>,
    /// Code by function index.
    pub code: Vec<Code>,
    /// Addresses in data that code, pointers or symbols refer to, ascending, without duplicates.
    boundaries: Vec<u64>,
    /// Those of them that are only displacements of operands with an index, which may lie inside a table.
    indexed: Vec<u64>,
    /// Those of which somebody has or takes the address; in Rust programs only.
    taken: Vec<u64>,
    /// Addresses of jump tables and tables of distances; in Rust programs only.
    tables: HashSet<u64>,
    /// In Rust programs, addresses of data and what may be their lengths in bytes, sorted.
    lengths: Vec<(u64, u64)>,
    /// The same with the numbers of elements below which indices are checked, sorted.
    checked: Vec<(u64, u64)>,
}

impl<'a> Program<'a> {
    /// Decodes every function of `image`.
    pub fn new(image: Image<'a>) -> Self {
        let code: Vec<Code> = image
            .functions
            .par_iter()
            .map_init(Vec::new, |scratch, function| decode_function(&image, function, scratch))
            .collect();
        let is_indexed = |code: &Code, reference: &Reference| {
            matches!(reference.form, Form::Absolute { immediate: false, .. })
                && !image.is_rust
                && code.table_at(reference.target).is_none()
        };
        let in_code = |indexed: bool| {
            let code =
                code.iter().flat_map(|code| code.references.iter().map(move |reference| (code, reference)));
            code.filter(move |(code, reference)| is_indexed(code, reference) == indexed)
                .map(|(_, reference)| reference.target)
        };
        let mut indexed: Vec<u64> = in_code(true).collect();
        let pointers = image.linkage.pointers.iter().filter_map(|(_, pointer)| match pointer {
            crate::image::Pointer::Address(address) => Some(*address),
            _ => None,
        });
        let objects = image.objects.iter().flat_map(|object| [object.range.start, object.range.end]);
        let unnamed = image.unnamed.iter().flat_map(|range| [range.start, range.end]);
        let mut boundaries: Vec<u64> = in_code(false).chain(pointers).chain(objects).chain(unnamed).collect();
        boundaries.par_sort_unstable();
        boundaries.dedup();
        indexed.retain(|address| boundaries.binary_search(address).is_err());
        indexed.par_sort_unstable();
        indexed.dedup();
        boundaries.extend(&indexed);
        boundaries.par_sort_unstable();
        let (taken, lengths) = if image.is_rust { lengths_in(&image, &code) } else { Default::default() };
        let jumps = code.iter().flat_map(|code| code.tables.iter().map(|table| table.address));
        let distances = code.iter().flat_map(|code| code.distances.iter().copied());
        let tables = jumps.chain(distances).filter(|_| image.is_rust).collect();
        let mut checked: Vec<(u64, u64)> =
            code.iter().flat_map(|code| code.checked.iter().copied()).collect();
        checked.sort_unstable();
        checked.dedup();
        let mut program = Program { image, code, boundaries, indexed, taken, tables, lengths, checked };
        let tables = program.code.iter().flat_map(|code| code.distances.iter().chain(&code.maybe_distances));
        let named = program.image.objects.iter().filter(|object| object.is_relative_table());
        let tables = tables.copied().chain(named.map(|object| object.range.start));
        let targets: Vec<u64> = tables.flat_map(|table| program.distances(table)).collect();
        if !targets.is_empty() {
            program.indexed.retain(|address| !targets.contains(address));
            program.boundaries.extend(targets);
            program.boundaries.par_sort_unstable();
            program.boundaries.dedup();
        }
        program
    }

    /// Where the entries of the table of distances at `table` lead: all entries, and maybe some words behind them.
    pub fn distances(&self, table: u64) -> Vec<u64> {
        let section = self.image.section_at(table).map_or(table, |section| section.range.end);
        let end = match self.image.object_at(table) {
            Some((id, 0)) => self.image.object(id).range.end,
            _ => self.next_boundary(table).unwrap_or(section).min(section),
        };
        let bytes = self.image.bytes(table..end).unwrap_or_default();
        let words =
            bytes.chunks_exact(4).map(|word| i32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        let targets = words.map(|distance| table.wrapping_add_signed(i64::from(distance)));
        let mut targets: Vec<u64> = targets.take_while(|to| self.image.section_at(*to).is_some()).collect();
        // Zeros behind the table are no entries.
        while targets.last() == Some(&table) {
            targets.pop();
        }
        targets
    }

    /// What may be the length in bytes of the constant at `address`.
    pub fn lengths(&self, address: u64) -> impl Iterator<Item = u64> + use<'_, 'a> {
        numbers_at(&self.lengths, address)
    }

    /// The numbers of elements below which indices are checked where the address is taken.
    pub(crate) fn checked(&self, address: u64) -> impl Iterator<Item = u64> + use<'_, 'a> {
        numbers_at(&self.checked, address)
    }

    /// True if the jump table or table of distances of a function begins at `address`.
    pub fn is_table(&self, address: u64) -> bool {
        self.tables.contains(&address)
    }

    /// True if anything has or takes the address.
    pub fn is_taken(&self, address: u64) -> bool {
        self.taken.binary_search(&address).is_ok()
    }

    /// The code of a function.
    pub fn code(&self, id: crate::image::FunctionId) -> &Code {
        &self.code[id.0 as usize]
    }

    /// The next address above `address` that anything refers to.
    pub fn next_boundary(&self, address: u64) -> Option<u64> {
        self.boundaries.get(self.boundaries.partition_point(|boundary| *boundary <= address)).copied()
    }

    /// True if only operands with an index refer to `address`.
    pub(crate) fn is_indexed(&self, address: u64) -> bool {
        self.indexed.binary_search(&address).is_ok()
    }

    /// The next address above `address` at which something begins, as far as is known.
    fn next_start(&self, address: u64) -> Option<u64> {
        let from = self.boundaries.partition_point(|boundary| *boundary <= address);
        self.boundaries[from..].iter().copied().find(|boundary| !self.is_indexed(*boundary))
    }

    /// The last address before `address` that anything refers to.
    pub(crate) fn piece_before(&self, address: u64) -> Option<u64> {
        let index = self.boundaries.partition_point(|boundary| *boundary < address).checked_sub(1)?;
        Some(self.boundaries[index])
    }

    /// The places in constant data that anything refers to and where the bytes `text` stand.
    pub fn texts<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = u64> + use<'t, 'a> {
        let constant = self.image.sections.iter().filter(|section| section.access == Access::Read);
        constant.flat_map(move |section| {
            let from = self.boundaries.partition_point(|address| *address < section.range.start);
            let to = self.boundaries.partition_point(|address| *address < section.range.end);
            self.boundaries[from..to].iter().copied().filter(move |address| {
                let rest = section.data.get((address - section.range.start) as usize..);
                rest.is_some_and(|rest| rest.starts_with(text))
            })
        })
    }

    /// The unnamed read-only data at `address`: its bytes up to the next thing that anybody refers to, and whether
    /// these are exactly one string with nothing but zeros behind it.
    ///
    /// A string may share its tail with another one, so it always reaches to its NUL.
    pub fn constant(&self, address: u64) -> Option<(crate::image::Extent, &'a [u8])> {
        use crate::image::Extent;
        let section = self.image.section_at(address)?;
        let rest = section.data.get((address - section.range.start) as usize..)?;
        let until = |next: Option<u64>| {
            let limit = next.map_or(rest.len() as u64, |next| next - address);
            (limit as usize).min(rest.len())
        };
        let limit_from = |from: u64| until(self.next_start(from));
        let nul = CStr::from_bytes_until_nul(rest).ok().map(CStr::count_bytes);
        // A string has nobody's operand in its middle.
        let next = self.next_boundary(address).filter(|next| {
            let text = address..address + nul.unwrap_or(rest.len()) as u64;
            !(self.is_indexed(address) || (self.is_indexed(*next) && text.contains(next)))
        });
        let limit = next.map_or_else(|| limit_from(address), |next| until(Some(next)));
        let text = nul.filter(|nul| {
            let alone = rest[*nul..limit.max(*nul + 1)].iter().all(|byte| *byte == 0);
            (*nul > 0 || limit == 1)
                && rest[..*nul].iter().all(|byte| is_text(*byte))
                && alone
                && !looks_wide(rest)
        });
        if let Some(nul) = text {
            let len = limit.max(nul + 1);
            return Some((Extent::Text(len as u64), &rest[..len]));
        }
        let limit = limit_from(address);
        // Strings share their tails: what is not terminated goes on behind the boundary. One of wide characters does so
        // only at whole characters.
        let mut end = limit;
        let holds_strings = section.access == crate::image::Access::Read;
        let may_be_wide = |end: usize| {
            !holds_strings || ((address | end as u64).is_multiple_of(2) && !is_narrow(&rest[..end]))
        };
        while end < rest.len()
            && !rest[..end].ends_with(&[0; 4])
            && end < MAX_UNTERMINATED
            && may_be_wide(end)
        {
            end = limit_from(address + end as u64);
        }
        let end = end.max(nul.filter(|nul| *nul < MAX_UNTERMINATED).map_or(0, |nul| nul + 1));
        Some((Extent::AtMost(end as u64), &rest[..end]))
    }
}

/// The numbers of an address among sorted pairs.
fn numbers_at(pairs: &[(u64, u64)], address: u64) -> impl Iterator<Item = u64> {
    let from = pairs.partition_point(|(at, _)| *at < address);
    pairs[from..].iter().take_while(move |(at, _)| *at == address).map(|(_, number)| *number)
}

/// The addresses that anything has or takes, and the lengths that are told beside them.
fn lengths_in(image: &Image<'_>, code: &[Code]) -> (Vec<u64>, Vec<(u64, u64)>) {
    let references = code.iter().flat_map(|code| &code.references);
    let taken =
        references.filter(|reference| reference.usage == Use::Address).map(|reference| reference.target);
    let pointers = image.linkage.pointers.iter().filter_map(|(_, pointer)| match pointer {
        crate::image::Pointer::Address(address) => Some(*address),
        _ => None,
    });
    let mut taken: Vec<u64> = taken.chain(pointers).collect();
    taken.par_sort_unstable();
    taken.dedup();
    let in_code = code.iter().flat_map(|code| code.lengths.iter().copied());
    let in_symbols = image.unnamed.iter().map(|range| (range.start, range.end - range.start));
    let mut lengths: Vec<(u64, u64)> = in_code.chain(lengths::in_data(image)).chain(in_symbols).collect();
    lengths.par_sort_unstable();
    lengths.dedup();
    (taken, lengths)
}

/// How far a constant without a zero word at its end is followed over boundaries.
const MAX_UNTERMINATED: usize = 4096;

/// True if `bytes` are whole strings of 8-bit characters.
fn is_narrow(bytes: &[u8]) -> bool {
    let plain = |byte: &u8| *byte == 0 || (byte.is_ascii() && is_text(*byte));
    bytes.ends_with(&[0]) && bytes.iter().all(plain) && !looks_wide(bytes)
}

/// True for the bytes of printable text, with the usual control characters.
pub(crate) fn is_text(byte: u8) -> bool {
    byte >= 0x20 || matches!(byte, b'\t'..=b'\r' | 0x1b | 7 | 8)
}

/// True if `bytes` may begin with a string of 16-bit or 32-bit characters: what looks like a string of one character
/// is only its beginning.
fn looks_wide(bytes: &[u8]) -> bool {
    let unit16 = |at: usize| bytes.get(at..at + 2).is_some_and(|unit| unit[0] != 0 && unit[1] == 0);
    let unit32 = |at: usize| bytes.get(at..at + 4).is_some_and(|unit| unit[0] != 0 && unit[1..] == [0; 3]);
    (unit16(0) && unit16(2)) || (unit32(0) && unit32(4))
}

/// `bytes` without the zeros at its end.
pub fn without_padding(bytes: &[u8]) -> &[u8] {
    let len = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &bytes[..len]
}
