//! Reading the files that users name.

use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

/// The contents of a file. A character device is an error: it may never end.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    if std::fs::metadata(path)?.file_type().is_char_device() {
        return Err(io::Error::other("it is a device, not a file"));
    }
    std::fs::read(path)
}
