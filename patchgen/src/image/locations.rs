//! Places in the source of which a Rust program tells when it panics.

use super::{Image, Pointer};

/// `core::panic::Location` as constants hold it: the file's name as pointer and length, line and column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location<'a> {
    /// The file's name.
    pub file: &'a [u8],
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

/// Size of a location in bytes.
pub const LOCATION_SIZE: u64 = 24;

/// Longest name of a file, line and column that are believed.
const MAX_FILE: u64 = 4096;
const MAX_LINE: u32 = 1 << 20;
const MAX_COLUMN: u32 = 1 << 16;

impl<'a> Image<'a> {
    /// The location at `address` in constant data, told by its shape: a pointer to a text of the length that follows
    /// and ends in `.rs`, and two small numbers.
    pub fn location_at(&self, address: u64) -> Option<Location<'a>> {
        if !address.is_multiple_of(8) || !self.is_rust {
            return None;
        }
        let bytes = self.bytes(address..address.checked_add(LOCATION_SIZE)?)?;
        let word = |at: usize| bytes[at..at + 8].try_into().ok().map(u64::from_le_bytes);
        let half = |at: usize| bytes[at..at + 4].try_into().ok().map(u32::from_le_bytes);
        let file = match self.linkage.pointer_at(address) {
            Some(Pointer::Address(file)) => *file,
            Some(_) => return None,
            None if self.kept_in(address..address + 1).is_empty() => return None,
            None => word(0)?,
        };
        let (len, line, column) = (word(8)?, half(16)?, half(20)?);
        if !(4..=MAX_FILE).contains(&len)
            || !(1..=MAX_LINE).contains(&line)
            || !(1..=MAX_COLUMN).contains(&column)
        {
            return None;
        }
        let file = self.bytes(file..file.checked_add(len)?)?;
        let is_text = file.iter().all(|byte| *byte >= 0x20);
        (is_text && file.ends_with(b".rs")).then_some(Location { file, line, column })
    }
}
