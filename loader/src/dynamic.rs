//! The dynamic section of an image and the tables it names, read from the process's memory.
//!
//! Tags and tables are those of the gABI ("Dynamic Linking") and of the LSB ("Symbol Versioning").

use crate::address::RuntimeAddr;
use crate::error::Result;
use crate::image::Image;
use crate::memory::RemoteMemory;
use goblin::container::{Container, Ctx, Endian};
use goblin::elf::dynamic as tag;
use goblin::elf::reloc::RelocSection;
use goblin::elf::{Sym, sym};
use patchfile::LinkAddr;
use std::collections::{BTreeSet, HashMap};

/// Tables longer than this are not read: no real image has them.
const MAX_TABLE: u64 = 64 << 20;
/// Size of an entry of the dynamic section, and of a symbol.
const DYN_LEN: u64 = 16;
const SYM_LEN: u64 = 24;
const RELA_LEN: u64 = 24;
/// Bits of an entry of `DT_VERSYM`.
const VERSION_HIDDEN: u16 = 0x8000;
/// Version indices below this one are "local" and "global", which is no version.
const FIRST_VERSION: u16 = 2;

/// What the dynamic linker knows of an image.
pub struct Dynamic {
    /// `DT_SONAME`.
    pub soname: Option<String>,
    /// `DT_NEEDED`, in order.
    pub needed: Vec<String>,
    /// `DF_1_NODELETE`: it is never unloaded.
    pub stays: bool,
    symbols: Vec<Sym>,
    strings: Vec<u8>,
    /// `DT_VERSYM`; empty if the image has no versions.
    version_of_symbol: Vec<u16>,
    version_names: HashMap<u16, String>,
    /// `DT_RELA` and `DT_JMPREL`: address and length.
    relocations: [(RuntimeAddr, u64); 2],
}

/// A symbol that an image defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Link-time address.
    pub address: LinkAddr,
    /// `STT_*`.
    pub kind: u8,
}

/// A relocation with a symbol or with a resolver function.
pub struct Slot<'d> {
    /// Where the dynamic linker wrote.
    pub address: LinkAddr,
    /// `R_X86_64_*`.
    pub kind: u32,
    /// Name and version of the symbol, if it has one.
    pub symbol: Option<(&'d str, Option<&'d str>)>,
    /// Constant part.
    pub addend: i64,
}

impl Dynamic {
    /// Reads the dynamic section of `image`; None if there is none, or nothing that a dynamic linker would accept.
    pub fn read(image: &Image, memory: &RemoteMemory) -> Result<Option<Dynamic>> {
        let Some(section) = image.dynamic_section().filter(|section| section.len() <= MAX_TABLE) else {
            return Ok(None);
        };
        let bytes = memory.read_vec(section.start, section.len())?;
        let entries: Vec<(u64, u64)> = bytes
            .chunks_exact(DYN_LEN as usize)
            .map(|entry| (u64_at(entry, 0), u64_at(entry, 8)))
            .take_while(|(name, _)| *name != tag::DT_NULL)
            .collect();
        let value = |wanted: u64| entries.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
        let extent = image.extent();
        // Some dynamic linkers add the load bias in the table itself, others leave it as it is in the file.
        let pointer = |wanted: u64| {
            let value = value(wanted)?;
            let biased = image.bias.at(LinkAddr(value));
            Some(if extent.contains(RuntimeAddr(value)) { RuntimeAddr(value) } else { biased })
        };
        let (Some(symbols_at), Some(strings_at), Some(strings_len)) =
            (pointer(tag::DT_SYMTAB), pointer(tag::DT_STRTAB), value(tag::DT_STRSZ))
        else {
            return Ok(None);
        };
        if strings_len > MAX_TABLE {
            return Ok(None);
        }
        let strings = memory.read_vec(strings_at, strings_len)?;
        let text = |offset: u64| text_at(&strings, offset).map(str::to_owned);
        let relocations = [(tag::DT_RELA, tag::DT_RELASZ), (tag::DT_JMPREL, tag::DT_PLTRELSZ)]
            .map(|(table, size)| (pointer(table).unwrap_or_default(), value(size).unwrap_or_default()))
            .map(|(table, size)| if size > MAX_TABLE { (table, 0) } else { (table, size) });
        let mut count = match (pointer(tag::DT_HASH), pointer(tag::DT_GNU_HASH)) {
            // nbucket, nchain: as many symbols as there are chain entries.
            (Some(hash), _) => u64_at(&memory.read_vec(hash, 8)?, 0) >> 32,
            (None, Some(hash)) => gnu_hash_symbols(hash, memory)?,
            (None, None) => 0,
        };
        for (at, size) in relocations {
            let bytes = memory.read_vec(at, size)?;
            let highest = bytes.chunks_exact(RELA_LEN as usize).map(|entry| u64_at(entry, 8) >> 32).max();
            count = count.max(highest.map_or(0, |index| index + 1));
        }
        if count > MAX_TABLE / SYM_LEN {
            return Ok(None);
        }
        let bytes = memory.read_vec(symbols_at, count * SYM_LEN)?;
        let context = Ctx::new(Container::Big, Endian::Little);
        let symbols = Sym::parse(&bytes, 0, count as usize, context).unwrap_or_default();
        let version_of_symbol = match pointer(tag::DT_VERSYM) {
            Some(at) => {
                memory.read_vec(at, count * 2)?.chunks_exact(2).map(|index| u16_at(index, 0)).collect()
            }
            None => Vec::new(),
        };
        let mut version_names = HashMap::new();
        let tables = [
            (pointer(tag::DT_VERDEF), value(tag::DT_VERDEFNUM), defined_versions as VersionTable),
            (pointer(tag::DT_VERNEED), value(tag::DT_VERNEEDNUM), needed_versions),
        ];
        for (at, entries, read) in tables {
            if let (Some(at), Some(entries)) = (at, entries) {
                read(at, entries, memory, &mut |index, name| {
                    version_names.extend(text(name).map(|name| (index, name)));
                })?;
            }
        }
        let needed = entries.iter().filter(|(name, _)| *name == tag::DT_NEEDED);
        Ok(Some(Dynamic {
            soname: value(tag::DT_SONAME).and_then(text),
            needed: needed.filter_map(|(_, name)| text(*name)).collect(),
            stays: value(tag::DT_FLAGS_1).unwrap_or_default() & tag::DF_1_NODELETE != 0,
            symbols,
            version_of_symbol,
            version_names,
            relocations,
            strings,
        }))
    }

    /// The symbol `name` as this image defines it for those who ask for `version`, or for none.
    ///
    /// As in glibc's `check_match` (elf/dl-lookup.c): a version is met by that version or by none, and who asks for
    /// none gets no hidden one.
    pub fn definition(&self, name: &str, version: Option<&str>) -> Option<Definition> {
        let numbered = self.symbols.iter().enumerate().skip(1);
        let fitting = numbered.filter(|(index, symbol)| {
            let exported = matches!(symbol.st_bind(), sym::STB_GLOBAL | sym::STB_WEAK | sym::STB_GNU_UNIQUE);
            // An undefined function with an address: the executable's PLT stub stands for it everywhere.
            let placed = symbol.st_value != 0 && (symbol.st_shndx != 0 || symbol.st_type() == sym::STT_FUNC);
            let thread_local = symbol.st_type() == sym::STT_TLS && symbol.st_shndx != 0;
            exported
                && (placed || thread_local)
                && text_at(&self.strings, symbol.st_name as u64) == Some(name)
                && self.has_version(*index, version)
        });
        let found = fitting
            .map(|(_, symbol)| Definition { address: LinkAddr(symbol.st_value), kind: symbol.st_type() });
        found.into_iter().next()
    }

    /// Where this image itself defines symbols of these names, in whatever versions.
    pub fn defined<'a>(&'a self, names: &'a BTreeSet<&str>) -> impl Iterator<Item = LinkAddr> + 'a {
        let defined = self.symbols.iter().filter(|symbol| symbol.st_shndx != 0 && symbol.st_value != 0);
        let named = |symbol: &&Sym| {
            text_at(&self.strings, symbol.st_name as u64).is_some_and(|name| names.contains(name))
        };
        defined.filter(named).map(|symbol| LinkAddr(symbol.st_value))
    }

    fn has_version(&self, symbol: usize, wanted: Option<&str>) -> bool {
        let Some(entry) = self.version_of_symbol.get(symbol) else { return true };
        let index = entry & !VERSION_HIDDEN;
        let unversioned = index < FIRST_VERSION;
        let hidden = entry & VERSION_HIDDEN != 0;
        match wanted {
            _ if unversioned => !hidden,
            None => !hidden,
            Some(wanted) => self.version_names.get(&index).is_some_and(|name| name == wanted),
        }
    }

    /// The relocations of the image.
    pub fn slots(&self, memory: &RemoteMemory) -> Result<Vec<Slot<'_>>> {
        let context = Ctx::new(Container::Big, Endian::Little);
        let mut slots = Vec::new();
        for (at, size) in self.relocations {
            let bytes = memory.read_vec(at, size)?;
            let Ok(table) = RelocSection::parse(&bytes, 0, bytes.len(), true, context) else { continue };
            slots.extend(table.iter().map(|relocation| Slot {
                address: LinkAddr(relocation.r_offset),
                kind: relocation.r_type,
                symbol: self.symbol(relocation.r_sym),
                addend: relocation.r_addend.unwrap_or_default(),
            }));
        }
        Ok(slots)
    }

    fn symbol(&self, index: usize) -> Option<(&str, Option<&str>)> {
        let symbol = self.symbols.get(index).filter(|_| index != 0)?;
        let version = self.version_of_symbol.get(index).map(|entry| entry & !VERSION_HIDDEN);
        let version = version.and_then(|index| self.version_names.get(&index)).map(String::as_str);
        Some((text_at(&self.strings, symbol.st_name as u64)?, version))
    }
}

/// The number of symbols that a `DT_GNU_HASH` table covers: one more than the highest index in it.
///
/// Header, bloom filter, buckets with the first symbol of each chain, and one word for each symbol whose lowest bit
/// ends a chain (binutils, bfd/elflink.c).
fn gnu_hash_symbols(at: RuntimeAddr, memory: &RemoteMemory) -> Result<u64> {
    let header = memory.read_vec(at, 16)?;
    let [buckets, first, filter] = [0, 4, 8].map(|offset| u64::from(u32_at(&header, offset)));
    let buckets_at = at.plus(16 + filter * 8);
    if (buckets + filter) * 8 > MAX_TABLE {
        return Ok(0);
    }
    let chains_at = buckets_at.plus(buckets * 4);
    let heads = memory.read_vec(buckets_at, buckets * 4)?;
    let highest = heads.chunks_exact(4).map(|head| u64::from(u32_at(head, 0))).max().unwrap_or_default();
    if highest < first {
        return Ok(first);
    }
    let mut symbol = highest;
    while u32_at(&memory.read_vec(chains_at.plus((symbol - first) * 4), 4)?, 0) & 1 == 0 {
        symbol += 1;
    }
    Ok(symbol + 1)
}

/// Reads a table of versions and tells index and name's offset of each.
type VersionTable = fn(RuntimeAddr, u64, &RemoteMemory, &mut dyn FnMut(u16, u64)) -> Result<()>;

/// `Elfxx_Verdef`, each with the `Elfxx_Verdaux` of its name first.
fn defined_versions(
    at: RuntimeAddr,
    entries: u64,
    memory: &RemoteMemory,
    found: &mut dyn FnMut(u16, u64),
) -> Result<()> {
    let mut at = at;
    for _ in 0..entries.min(u64::from(u16::MAX)) {
        let entry = memory.read_vec(at, 20)?;
        let name = memory.read_vec(at.plus(u64::from(u32_at(&entry, 12))), 4)?;
        found(u16_at(&entry, 4), u64::from(u32_at(&name, 0)));
        at = at.plus(u64::from(u32_at(&entry, 16)));
    }
    Ok(())
}

/// `Elfxx_Verneed`, one for each file, with an `Elfxx_Vernaux` for each of its versions.
fn needed_versions(
    at: RuntimeAddr,
    entries: u64,
    memory: &RemoteMemory,
    found: &mut dyn FnMut(u16, u64),
) -> Result<()> {
    let mut at = at;
    for _ in 0..entries.min(u64::from(u16::MAX)) {
        let file = memory.read_vec(at, 16)?;
        let mut version_at = at.plus(u64::from(u32_at(&file, 8)));
        for _ in 0..u16_at(&file, 2) {
            let version = memory.read_vec(version_at, 16)?;
            found(u16_at(&version, 6), u64::from(u32_at(&version, 8)));
            version_at = version_at.plus(u64::from(u32_at(&version, 12)));
        }
        at = at.plus(u64::from(u32_at(&file, 12)));
    }
    Ok(())
}

fn text_at(strings: &[u8], offset: u64) -> Option<&str> {
    let rest = strings.get(usize::try_from(offset).ok()?..)?;
    let len = rest.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(&rest[..len]).ok()
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}
