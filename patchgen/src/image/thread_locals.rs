//! Thread-local storage of an image: which variable is where in it.

use super::load::Elf;
use object::LittleEndian as LE;
use object::elf;
use object::read::elf::{ProgramHeader as _, Sym as _};
use std::ops::Range;
use std::sync::Arc;

/// A thread-local variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsObject {
    /// Symbol name.
    pub name: String,
    /// Source file that the symbol table names; None for global symbols.
    pub source: Option<Arc<str>>,
    /// Offset from the start of the image's thread-local storage.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
}

impl TlsObject {
    /// Offsets of its bytes.
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.size)
    }
}

/// Thread-local storage of an image (`PT_TLS`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreadLocals {
    /// Its variables by ascending offset, those of one offset by name.
    pub variables: Vec<TlsObject>,
    /// Link-time address of the initial values.
    pub start: u64,
    /// Bytes, rounded up to the alignment. In an executable the thread pointer is where they end (psABI, TLS variant
    /// II).
    pub size: u64,
    /// Bytes for which the file has initial values; what is behind them begins as zero.
    pub filled: u64,
    /// Alignment of its start.
    pub align: u64,
}

impl ThreadLocals {
    pub(super) fn read(symbols: &Elf<'_>, image: &Elf<'_>) -> object::Result<ThreadLocals> {
        let segment = image.elf_program_headers().iter().find(|header| header.p_type(LE) == elf::PT_TLS);
        let Some(segment) = segment else { return Ok(ThreadLocals::default()) };
        let align = segment.p_align(LE).max(1);
        let size = segment.p_memsz(LE).checked_next_multiple_of(align).unwrap_or(0);
        let table = symbols.elf_symbol_table();
        let mut variables = Vec::new();
        // Local symbols belong to the `STT_FILE` symbol before them (gABI, symbol table).
        let mut source: Option<Arc<str>> = None;
        for symbol in table.iter() {
            let name = String::from_utf8_lossy(table.symbol_name(LE, symbol)?).into_owned();
            if symbol.st_type() == elf::STT_FILE {
                source = (!name.is_empty()).then(|| Arc::from(name.as_str()));
            } else if symbol.st_type() == elf::STT_TLS
                && !symbol.is_undefined(LE)
                && name != MODULE_BASE
                && symbol.st_value(LE) <= size
            {
                let source = source.clone().filter(|_| symbol.st_bind() == elf::STB_LOCAL);
                let (offset, size) = (symbol.st_value(LE), symbol.st_size(LE));
                variables.push(TlsObject { name, source, offset, size });
            }
        }
        variables.sort_by(|a, b| (a.offset, &a.name, &a.source).cmp(&(b.offset, &b.name, &b.source)));
        Ok(ThreadLocals { variables, start: segment.p_vaddr(LE), size, filled: segment.p_filesz(LE), align })
    }

    /// The offset from the thread pointer of what has this offset from the start, in an executable.
    pub fn from_pointer(&self, offset: u64) -> i64 {
        (offset as i64).wrapping_sub(self.size as i64)
    }

    /// The offset from the start of what has this offset from the thread pointer in an executable, unless it is none of
    /// the image's.
    pub fn from_start(&self, offset: i64) -> Option<u64> {
        let from_start = offset.checked_add_unsigned(self.size)?;
        u64::try_from(from_start).ok().filter(|from_start| *from_start <= self.size)
    }
}

/// What the linker calls the storage as a whole (ld, `_bfd_x86_elf_..._tls_module_base`).
const MODULE_BASE: &str = "_TLS_MODULE_BASE_";
