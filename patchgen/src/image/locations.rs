//! Places in the source of which a Rust program tells when it panics or logs.

use super::{Image, Pointer};

/// A place in the source as constants hold it: names as pointer and length, the last one that of the file, then line
/// and column. `core::panic::Location` has one name; what the macros of the crate log make has three, and no column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location<'a> {
    /// The names; the last one is the file's.
    pub names: Vec<&'a [u8]>,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1; 0 if there is none.
    pub column: u32,
}

impl Location<'_> {
    /// Size in bytes: two words for each name, one for the numbers.
    pub fn size(&self) -> u64 {
        self.names.len() as u64 * 16 + 8
    }
}

/// Longest name, largest line and column that are believed.
const MAX_NAME: u64 = 4096;
pub(crate) const MAX_LINE: u32 = 1 << 20;
const MAX_COLUMN: u32 = 1 << 16;

impl<'a> Image<'a> {
    /// The place in the source at `address` in constant data, told by its shape: pointers to texts of the lengths that
    /// follow them, of which the last one ends in `.rs`, and two small numbers.
    pub fn location_at(&self, address: u64) -> Option<Location<'a>> {
        if !address.is_multiple_of(8) || !self.is_rust {
            return None;
        }
        let first = self.name_at(address)?;
        if first.ends_with(b".rs")
            && let Some((line, column @ 1..)) = self.line_and_column(address + 16)
        {
            return Some(Location { names: vec![first], line, column });
        }
        let names = vec![first, self.name_at(address + 16)?, self.name_at(address + 32)?];
        let (line, column) = self.line_and_column(address + 48)?;
        (names[2].ends_with(b".rs") && column == 0).then_some(Location { names, line, column })
    }

    /// The text to which a pointer and a length at `address` lead.
    pub(crate) fn name_at(&self, address: u64) -> Option<&'a [u8]> {
        let bytes = self.bytes(address..address.checked_add(16)?)?;
        let word = |at: usize| bytes[at..at + 8].try_into().ok().map(u64::from_le_bytes);
        let start = match self.linkage.pointer_at(address) {
            Some(Pointer::Address(start)) => *start,
            Some(_) => return None,
            None if self.kept_in(address..address + 1).is_empty() => return None,
            None => word(0)?,
        };
        let len = word(8).filter(|len| (1..=MAX_NAME).contains(len))?;
        let text = self.bytes(start..start.checked_add(len)?)?;
        text.iter().all(|byte| *byte >= 0x20).then_some(text)
    }

    /// Two numbers that may be a line and a column.
    fn line_and_column(&self, address: u64) -> Option<(u32, u32)> {
        let bytes = self.bytes(address..address.checked_add(8)?)?;
        let half = |at: usize| bytes[at..at + 4].try_into().ok().map(u32::from_le_bytes);
        let (line, column) = (half(0)?, half(4)?);
        let believed = (1..=MAX_LINE).contains(&line) && column <= MAX_COLUMN;
        believed.then_some((line, column))
    }
}
