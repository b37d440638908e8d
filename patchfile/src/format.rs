//! Names and numbers of the file format, see `docs/patch-format.md`.

/// The section that holds the metadata: one JSON document.
pub const META_SECTION: &str = ".tardigrade.meta";

/// The section that holds the file's digest: one note, at a fixed place behind the ELF header.
pub const DIGEST_SECTION: &str = ".note.tardigrade";

/// The `schema` field of the metadata that this version reads and writes.
pub const SCHEMA: &str = "tardigrade.patch/4";

/// `st_shndx` of a symbol that lives in the target image: `st_value` is its link-time address there.
///
/// In the range that the gABI reserves for operating systems (`SHN_LOOS` = 0xff20), one above the value that
/// kernel livepatch modules use.
pub const SHN_TARGET: u16 = 0xff21;

/// The symbol of the gate byte: 0 while trampolines lead to the old code, 1 while they lead to the new code.
pub const GATE_SYMBOL: &str = "__tardigrade_gate";

/// How far the registration of a patch's unwind tables got.
pub mod registration {
    /// Not begun.
    pub const NONE: u8 = 0;
    /// A thread of the target is at it.
    pub const BEGUN: u8 = 1;
    /// The unwinder knows them.
    pub const DONE: u8 = 2;
}

/// Length of a near jump (`e9 rel32`), the redirect at a function's entry.
pub const NEAR_JUMP_LEN: usize = 5;

/// Length of a short jump (`eb rel8`), the redirect at an entry that crosses a page.
pub const SHORT_JUMP_LEN: usize = 2;

/// The page size that "one write within one page" refers to.
pub const PAGE_SIZE: u64 = 4096;

/// Largest total of section contents that the reader accepts, in bytes.
pub const MAX_TOTAL_BYTES: u64 = 1 << 30;
