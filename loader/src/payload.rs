//! The patch as it lies in the target: layout, contents, relocation.
//!
//! ```text
//! base                                                        base + executable_len
//! | record | text sections | read-only sections | ... padding | data sections |
//! |<------------------- r-x -------------------------------->|<---- rw- ----->|
//! ```

use crate::address::{AddressRange, LoadBias, RuntimeAddr, whole_pages};
use crate::error::{LoaderError, Result};
use crate::imports::Imports;
use crate::memory::RemoteMemory;
use patchfile::decode::SecondReader;
use patchfile::{Delta, DeltaOp, Patch, Place, SectionContents, SectionKind, Sha256};

/// Where the parts of a patch go, relative to the start of its region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Offset of each section.
    pub sections: Vec<u64>,
    /// Offsets of the code.
    pub text: (u64, u64),
    /// Bytes mapped readable and executable, whole pages.
    pub executable_len: u64,
    /// Bytes mapped readable and writable behind them, whole pages.
    pub writable_len: u64,
}

impl Layout {
    /// Lays out a patch behind a record of `record_len` bytes.
    pub fn new(patch: &Patch, record_len: u64) -> Self {
        let mut sections = vec![0; patch.sections.len()];
        let mut offset = record_len;
        let mut place = |kind: SectionKind, offset: &mut u64| {
            for (section, placed) in patch.sections.iter().zip(&mut sections) {
                if section.kind == kind {
                    *placed = offset.next_multiple_of(section.align);
                    *offset = *placed + section.contents.len();
                }
            }
        };
        let text_start = offset;
        place(SectionKind::Text, &mut offset);
        let text = (text_start, offset);
        place(SectionKind::ReadOnly, &mut offset);
        let executable_len = whole_pages(offset);
        offset = executable_len;
        place(SectionKind::Data, &mut offset);
        let writable_len = whole_pages(offset - executable_len);
        Layout { sections, text, executable_len, writable_len }
    }

    /// Length of the whole region.
    pub fn len(&self) -> u64 {
        self.executable_len + self.writable_len
    }

    /// A layout always has its record.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Runtime address of a symbol of the patch or its image if the region starts at `base`; 0 for an import.
    pub fn symbol(&self, patch: &Patch, symbol: usize, base: RuntimeAddr, bias: LoadBias) -> RuntimeAddr {
        match patch.symbols[symbol].place {
            Place::Patch { section, offset } => base.plus(self.sections[section] + offset),
            Place::Target(address) => bias.at(address),
            Place::Import => RuntimeAddr(0),
        }
    }
}

/// Unrelocated contents of all sections; deltas are made from the target's memory.
pub fn contents(patch: &Patch, bias: LoadBias, memory: &RemoteMemory) -> Result<Vec<Vec<u8>>> {
    patch
        .sections
        .iter()
        .map(|section| match &section.contents {
            SectionContents::Bytes(bytes) => Ok(bytes.clone()),
            SectionContents::Zero(len) => Ok(vec![0; *len as usize]),
            SectionContents::Delta(delta) => rebuild(&section.name, delta, bias, memory),
        })
        .collect()
}

fn rebuild(name: &str, delta: &Delta, bias: LoadBias, memory: &RemoteMemory) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(delta.len as usize);
    for op in &delta.ops {
        match op {
            DeltaOp::Copy { from, len } => {
                let start = bytes.len();
                bytes.resize(start + *len as usize, 0);
                memory.read(bias.at(*from), &mut bytes[start..])?;
            }
            DeltaOp::Literal(literal) => bytes.extend_from_slice(literal),
        }
    }
    if Sha256::of(&bytes) != delta.sha256 {
        return Err(LoaderError::DeltaDiffers(name.to_owned()));
    }
    Ok(bytes)
}

/// Fills in the relocations for a region at `base`.
pub fn relocate(
    patch: &Patch,
    layout: &Layout,
    base: RuntimeAddr,
    bias: LoadBias,
    imports: &Imports,
    contents: &mut [Vec<u8>],
) -> Result<()> {
    for ((section, bytes), section_at) in patch.sections.iter().zip(contents).zip(&layout.sections) {
        for relocation in &section.relocations {
            let symbol = imports
                .address(relocation.symbol)
                .unwrap_or_else(|| layout.symbol(patch, relocation.symbol, base, bias));
            let place = base.plus(section_at + relocation.offset);
            let value = relocation.kind.value(symbol.0, relocation.addend, place.0).ok_or_else(|| {
                LoaderError::OutOfReach {
                    section: section.name.clone(),
                    offset: relocation.offset,
                    symbol: patch.symbols[relocation.symbol].name.clone(),
                }
            })?;
            let width = relocation.kind.width() as usize;
            let start = relocation.offset as usize;
            bytes[start..start + width].copy_from_slice(&value[..width]);
        }
    }
    Ok(())
}

/// Lets the second disassembler read all code as it is going to run.
pub fn check_code(
    patch: &Patch,
    layout: &Layout,
    base: RuntimeAddr,
    contents: &[Vec<u8>],
    reader: &SecondReader,
) -> Result<()> {
    for ((section, bytes), offset) in patch.sections.iter().zip(contents).zip(&layout.sections) {
        if section.kind == SectionKind::Text {
            reader
                .check(bytes, base.0 + offset)
                .map_err(|source| LoaderError::Decode { name: section.name.clone(), source })?;
        }
    }
    Ok(())
}

/// The addresses of the target that code of the patch or redirects refer to: the region has to be near them.
pub fn neighbours(patch: &Patch, bias: LoadBias) -> AddressRange {
    let redirects = patch.functions.iter().filter_map(|function| function.redirect.as_ref());
    let mut addresses: Vec<u64> = redirects.map(|redirect| bias.at(redirect.site).0).collect();
    for relocation in patch.sections.iter().flat_map(|section| &section.relocations) {
        let reaches_32_bits = relocation.kind.width() == 4;
        if let Place::Target(address) = patch.symbols[relocation.symbol].place
            && reaches_32_bits
        {
            addresses.push(bias.at(address).0.wrapping_add_signed(relocation.addend));
        }
    }
    let start = addresses.iter().copied().min().unwrap_or_default();
    let end = addresses.iter().copied().max().unwrap_or_default();
    AddressRange { start: RuntimeAddr(start), end: RuntimeAddr(end.saturating_add(1)) }
}

/// True if the patch can only lie in the lowest 2 GiB: it holds its own addresses in 32 bits.
pub fn needs_low_memory(patch: &Patch) -> bool {
    use patchfile::RelocationKind::{Abs32, Abs32S};
    patch.sections.iter().flat_map(|section| &section.relocations).any(|relocation| {
        matches!(relocation.kind, Abs32 | Abs32S)
            && matches!(patch.symbols[relocation.symbol].place, Place::Patch { .. })
    })
}
