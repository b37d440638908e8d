//! The build ID of the running program, from the notes of its file.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

const PT_NOTE: u32 = 4;
const NT_GNU_BUILD_ID: u32 = 3;

/// The build ID in hex; empty if there is none. Read from the file that was started, also if another one took its
/// name.
pub(crate) fn build_id() -> String {
    let id = File::open("/proc/self/exe").ok().and_then(|file| find(&file)).unwrap_or_default();
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Program headers of a 64-bit image: elf(5).
fn find(file: &File) -> Option<Vec<u8>> {
    let header = read(file, 0, 64)?;
    let (table, size) = (u64_at(&header, 32)?, u16_at(&header, 54)?);
    (0..u16_at(&header, 56)?).find_map(|index| {
        let entry = read(file, table + u64::from(index) * u64::from(size), size.into())?;
        let is_notes = u32_at(&entry, 0)? == PT_NOTE;
        let notes =
            is_notes.then(|| read(file, u64_at(&entry, 8)?, u64_at(&entry, 32)? as usize)).flatten()?;
        in_notes(&notes).map(<[u8]>::to_vec)
    })
}

/// Name and description of a note are padded to four bytes each.
fn in_notes(mut notes: &[u8]) -> Option<&[u8]> {
    loop {
        let [name_len, len, kind] = [u32_at(notes, 0)?, u32_at(notes, 4)?, u32_at(notes, 8)?];
        let start = 12 + (name_len as usize).next_multiple_of(4);
        let id = notes.get(start..start + len as usize)?;
        if kind == NT_GNU_BUILD_ID && notes[12..].starts_with(b"GNU\0") {
            return Some(id);
        }
        notes = notes.get(start + (len as usize).next_multiple_of(4)..)?;
    }
}

fn read(file: &File, offset: u64, len: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}

fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array(bytes, offset).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array(bytes, offset).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array(bytes, offset).map(u64::from_le_bytes)
}
