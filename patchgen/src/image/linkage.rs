//! What the dynamic linker fills in: pointers in data, GOT slots and the PLT stubs that use them.

use super::load::Elf;
use super::{Access, Section};
use iced_x86::{Code, Decoder, DecoderOptions, Mnemonic};
use object::LittleEndian as LE;
use object::elf;
use object::read::elf::{FileHeader as _, Rela as _, SectionHeader as _, Sym as _};
use std::collections::{HashMap, HashSet};

/// The value of a pointer that the dynamic linker writes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pointer {
    /// An address in this image (`R_X86_64_RELATIVE`).
    Address(u64),
    /// A symbol that the dynamic linker looks up (`R_X86_64_64`, `GLOB_DAT`, `JUMP_SLOT`).
    Symbol {
        /// Symbol name.
        name: String,
        /// The version that is asked for; empty if none is, or if the image defines the symbol itself.
        version: String,
        /// Constant added to its address.
        addend: i64,
    },
    /// What the resolver function at this address returns (`R_X86_64_IRELATIVE`).
    Resolved(u64),
    /// Part of the thread-local machinery: relocation type, symbol, addend.
    ThreadLocal {
        /// `R_X86_64_TPOFF64`, `DTPMOD64`, `DTPOFF64` or `TLSDESC`.
        kind: u32,
        /// Symbol name, empty for a symbol of this image.
        name: String,
        /// Constant part.
        addend: i64,
    },
    /// The initial contents are copied from a library's variable (`R_X86_64_COPY`).
    Copied(String),
    /// A relocation type that is not understood.
    Unknown(u32),
}

/// What a GOT slot holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// The dynamic linker fills it.
    Dynamic(Pointer),
    /// The linker filled it with this number; an address where no relocation is needed.
    Constant(u64),
}

/// Dynamic relocations, sorted by address, and PLT stubs.
#[derive(Default)]
pub struct Linkage {
    /// Pointers in data by ascending address.
    pub pointers: Vec<(u64, Pointer)>,
    /// Names of undefined weak symbols: 0 if no library defines them.
    pub weak_imports: HashSet<String>,
    /// Addresses of PLT stubs that stand for their functions in the whole process: undefined symbols that have one
    /// (psABI, "Function Addresses").
    pub canonical: HashSet<u64>,
    /// Start of each PLT stub and the GOT slot that it jumps through.
    pub stubs: HashMap<u64, u64>,
}

impl Linkage {
    pub(super) fn read(elf: &Elf<'_>, sections: &[Section<'_>]) -> object::Result<Linkage> {
        let mut linkage = relocations(elf)?;
        packed_relative(elf, sections, &mut linkage.pointers)?;
        linkage.pointers.sort_by_key(|(address, _)| *address);
        module_offsets(sections, &mut linkage.pointers);
        linkage.stubs = stubs(sections);
        linkage.canonical = canonical(elf)?;
        Ok(linkage)
    }

    /// The pointer at `address`.
    pub fn pointer_at(&self, address: u64) -> Option<&Pointer> {
        let index = self.pointers.binary_search_by_key(&address, |(at, _)| *at).ok()?;
        Some(&self.pointers[index].1)
    }

    /// Pointers that begin in `range`.
    pub fn pointers_in(&self, range: std::ops::Range<u64>) -> &[(u64, Pointer)] {
        let from = self.pointers.partition_point(|(at, _)| *at < range.start);
        let to = self.pointers.partition_point(|(at, _)| *at < range.end);
        &self.pointers[from..to]
    }
}

fn relocations(elf: &Elf<'_>) -> object::Result<Linkage> {
    let data = elf.data();
    let sections = elf.elf_header().sections(LE, data)?;
    let versions = sections.versions(LE, data)?;
    let mut linkage = Linkage::default();
    for section in sections.iter() {
        if !section.sh_flags(LE).contains(elf::SHF_ALLOC) {
            continue;
        }
        let Some((relocations, link)) = section.rela(LE, data)? else { continue };
        let table = if link.0 == 0 { None } else { Some(sections.symbol_table_by_index(LE, data, link)?) };
        for relocation in relocations {
            let addend = relocation.r_addend(LE);
            let (mut name, mut version) = (String::new(), String::new());
            if let (Some(index), Some(table)) = (relocation.symbol(LE, false), &table) {
                let symbol = table.symbol(index)?;
                // A local symbol of the image has no name to look up: section symbols and hidden TLS.
                if symbol.st_type() != elf::STT_SECTION {
                    name = String::from_utf8_lossy(table.symbol_name(LE, symbol)?).into_owned();
                }
                if symbol.is_undefined(LE) {
                    let wanted =
                        versions.as_ref().map(|all| all.version(all.version_index(LE, index).index()));
                    if let Some(wanted) = wanted.transpose()?.flatten() {
                        version = String::from_utf8_lossy(wanted.name()).into_owned();
                    }
                    if symbol.st_bind() == elf::STB_WEAK {
                        linkage.weak_imports.insert(name.clone());
                    }
                }
            }
            let kind = relocation.r_type(LE, false);
            let pointer = match kind {
                elf::R_X86_64_NONE => continue,
                elf::R_X86_64_RELATIVE => Pointer::Address(addend as u64),
                elf::R_X86_64_IRELATIVE => Pointer::Resolved(addend as u64),
                elf::R_X86_64_64 => Pointer::Symbol { name, version, addend },
                elf::R_X86_64_GLOB_DAT | elf::R_X86_64_JUMP_SLOT => {
                    Pointer::Symbol { name, version, addend: 0 }
                }
                elf::R_X86_64_COPY => Pointer::Copied(name),
                elf::R_X86_64_TPOFF64
                | elf::R_X86_64_DTPMOD64
                | elf::R_X86_64_DTPOFF64
                | elf::R_X86_64_TLSDESC => Pointer::ThreadLocal { kind: kind.0, name, addend },
                other => Pointer::Unknown(other.0),
            };
            linkage.pointers.push((relocation.r_offset(LE), pointer));
        }
    }
    Ok(linkage)
}

fn canonical(elf: &Elf<'_>) -> object::Result<HashSet<u64>> {
    let data = elf.data();
    let symbols = elf.elf_header().sections(LE, data)?.symbols(LE, data, elf::SHT_DYNSYM)?;
    let undefined = symbols.iter().filter(|symbol| symbol.is_undefined(LE) && symbol.st_value(LE) != 0);
    Ok(undefined.map(|symbol| symbol.st_value(LE)).collect())
}

/// A general-dynamic slot is a pair of words: the module, which the dynamic linker fills in, and the offset in it. For
/// a variable of the image itself the second one is a plain number; it becomes the addend of the first.
fn module_offsets(sections: &[Section<'_>], pointers: &mut [(u64, Pointer)]) {
    let relocated: std::collections::HashSet<u64> = pointers.iter().map(|(address, _)| *address).collect();
    for (address, pointer) in pointers {
        let Pointer::ThreadLocal { kind, name, addend } = pointer else { continue };
        let second = *address + 8;
        if *kind != elf::R_X86_64_DTPMOD64.0 || !name.is_empty() || relocated.contains(&second) {
            continue;
        }
        let section = sections.iter().find(|section| section.range.contains(&second));
        let word = section.and_then(|section| {
            let at = (second - section.range.start) as usize;
            section.data.get(at..at + 8)?.try_into().ok()
        });
        *addend = word.map_or(0, i64::from_le_bytes);
    }
}

/// `SHT_RELR` (gABI): an even word is an address, an odd word a bitmap of the 63 words that follow.
fn packed_relative(
    elf: &Elf<'_>,
    sections: &[Section<'_>],
    pointers: &mut Vec<(u64, Pointer)>,
) -> object::Result<()> {
    let word_at = |address: u64| -> Option<u64> {
        let section = sections.iter().find(|section| section.range.contains(&address))?;
        let offset = (address - section.range.start) as usize;
        Some(u64::from_le_bytes(section.data.get(offset..offset + 8)?.try_into().ok()?))
    };
    let data = elf.data();
    for section in elf.elf_header().sections(LE, data)?.iter() {
        if section.sh_type(LE) != elf::SHT_RELR {
            continue;
        }
        let mut next = 0_u64;
        for word in section.data(LE, data)?.chunks_exact(8) {
            let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
            let mut add = |address: u64| {
                if let Some(value) = word_at(address) {
                    pointers.push((address, Pointer::Address(value)));
                }
            };
            if word & 1 == 0 {
                add(word);
                next = word.wrapping_add(8);
            } else {
                for bit in 0..63 {
                    if word >> (bit + 1) & 1 == 1 {
                        add(next.wrapping_add(8 * bit));
                    }
                }
                next = next.wrapping_add(63 * 8);
            }
        }
    }
    Ok(())
}

/// Finds the stubs in `.plt`, `.plt.sec`, `.plt.got`: an optional `endbr64`, then a jump through a GOT slot.
fn stubs(sections: &[Section<'_>]) -> HashMap<u64, u64> {
    let mut stubs = HashMap::new();
    let plt = sections.iter().filter(|section| {
        section.access == Access::Execute && (section.name.starts_with(".plt") || section.name == ".iplt")
    });
    for section in plt {
        let mut landing_pad = None;
        let decoder = Decoder::with_ip(64, section.data, section.range.start, DecoderOptions::NONE);
        for instruction in decoder {
            if instruction.code() == Code::Jmp_rm64 && instruction.is_ip_rel_memory_operand() {
                let start = landing_pad.unwrap_or(instruction.ip());
                stubs.insert(start, instruction.ip_rel_memory_address());
            }
            landing_pad = (instruction.mnemonic() == Mnemonic::Endbr64).then(|| instruction.ip());
        }
    }
    stubs
}
