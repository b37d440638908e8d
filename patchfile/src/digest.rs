//! The digest that covers every byte of a patch file, in a note at a fixed place.
//!
//! The note stands directly behind the ELF header, so that it is found without believing anything that the file says
//! about itself. Its digest is that of the whole file with the digest's own bytes taken as zero. It tells damage, not
//! malice: whoever writes a file can write its digest.

use crate::{PatchFileError, Sha256};
use sha2::Digest as _;
use std::ops::Range;

/// Where the note begins: behind the ELF header.
const NOTE_OFFSET: usize = 64;

/// The note without its descriptor, as the gABI lays it out: `n_namesz` = 11, `n_descsz` = 32, `n_type` = 0x100, and the
/// name with its NUL, padded to four bytes.
const NOTE_HEAD: [u8; 24] = *b"\x0b\0\0\0\x20\0\0\0\0\x01\0\0Tardigrade\0\0";

/// Where the digest is.
const DIGEST: Range<usize> = NOTE_OFFSET + NOTE_HEAD.len()..NOTE_OFFSET + NOTE_LEN;

/// Length of the note.
pub(crate) const NOTE_LEN: usize = NOTE_HEAD.len() + 32;

/// The note with a digest of zeros, as the writer lays it out before it seals the file.
pub(crate) fn empty_note() -> [u8; NOTE_LEN] {
    let mut note = [0; NOTE_LEN];
    note[..NOTE_HEAD.len()].copy_from_slice(&NOTE_HEAD);
    note
}

/// True if the note stands where that of a patch does, whatever its digest.
pub(crate) fn has_note(file: &[u8]) -> bool {
    file.get(NOTE_OFFSET..DIGEST.end).is_some_and(|note| note.starts_with(&NOTE_HEAD))
}

/// Checks that `file` has the digest that it carries. A file without the note carries none.
pub(crate) fn check(file: &[u8]) -> Result<(), PatchFileError> {
    let carried = file.get(DIGEST).filter(|_| has_note(file)).ok_or(PatchFileError::Damaged)?;
    if carried == of_contents(file).0 { Ok(()) } else { Err(PatchFileError::Damaged) }
}

/// Writes the digest of `file` into its note. Does nothing to a file that has no room for one.
///
/// For tools that change a patch file, and for tests that give the reader files which nobody writes.
pub fn seal(file: &mut [u8]) {
    if file.len() >= DIGEST.end {
        let digest = of_contents(file);
        file[DIGEST].copy_from_slice(&digest.0);
    }
}

/// The digest of a file that has room for one, with the bytes of the digest itself taken as zero.
fn of_contents(file: &[u8]) -> Sha256 {
    let mut hasher = sha2::Sha256::new();
    hasher.update(&file[..DIGEST.start]);
    hasher.update([0; 32]);
    hasher.update(&file[DIGEST.end..]);
    let mut out = [0; 32];
    out.copy_from_slice(hasher.finalize().as_slice());
    Sha256(out)
}
