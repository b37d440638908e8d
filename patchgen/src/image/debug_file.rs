//! Finding an image's separate debug file, as gdb does ("Debugging Information in Separate Files").

use super::load::{Elf, build_id, parse, read_file, section_data};
use crate::error::InputError;
use patchfile::BuildId;
use std::path::{Path, PathBuf};

/// Where distributions install separate debug files.
const DEBUG_ROOT: &str = "/usr/lib/debug";

/// A separate debug file.
pub struct DebugFile {
    /// Where it was found.
    pub path: PathBuf,
    /// Its contents.
    pub bytes: Vec<u8>,
}

impl DebugFile {
    /// Reads the debug file that the user named and checks that it belongs to the image.
    pub(super) fn open(debug: &Path, image: &Path, expected: &BuildId) -> Result<Self, InputError> {
        let bytes = read_file(debug)?;
        let found = build_id(debug, &parse(debug, &bytes)?)?;
        if found != *expected {
            return Err(InputError::WrongDebugFile {
                debug: debug.to_owned(),
                found: found.to_string(),
                path: image.to_owned(),
                expected: expected.to_string(),
            });
        }
        Ok(DebugFile { path: debug.to_owned(), bytes })
    }
}

/// Looks for the debug file by build ID, then by `.gnu_debuglink`. A file of another build is passed over.
pub(super) fn find(image: &Path, elf: &Elf<'_>, id: &BuildId) -> Result<Option<DebugFile>, InputError> {
    for candidate in candidates(image, elf, id) {
        if candidate.is_file() && !same_file(&candidate, image) {
            match DebugFile::open(&candidate, image, id) {
                Ok(file) => return Ok(Some(file)),
                Err(InputError::WrongDebugFile { .. } | InputError::NoBuildId { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(None)
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn candidates(image: &Path, elf: &Elf<'_>, id: &BuildId) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let hex = id.to_string();
    if hex.len() > 2 {
        let name = format!(".build-id/{}/{}.debug", &hex[..2], &hex[2..]);
        out.push(Path::new(DEBUG_ROOT).join(name));
    }
    // Section contents: file name, NUL, padding, CRC. The build ID is the stronger check, so the CRC is not used.
    let link = section_data(elf, ".gnu_debuglink").and_then(|data| data.split(|byte| *byte == 0).next());
    if let Some(link) = link.and_then(|name| std::str::from_utf8(name).ok()).filter(|name| !name.is_empty()) {
        let folder = image.canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned));
        if let (Some(folder), Some(name)) = (folder, Path::new(link).file_name()) {
            out.push(folder.join(name));
            out.push(folder.join(".debug").join(name));
            if let Ok(inside) = folder.strip_prefix("/") {
                out.push(Path::new(DEBUG_ROOT).join(inside).join(name));
            }
        }
    }
    out
}
