//! The mappings of a process, as `/proc/PID/maps` tells them (proc_pid_maps(5)).

use crate::address::{AddressRange, RuntimeAddr};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What backs a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backing {
    /// A file, by the path that the kernel reports.
    File {
        /// The path.
        path: PathBuf,
        /// The file was removed or replaced since.
        deleted: bool,
    },
    /// Nothing.
    Anonymous,
    /// Something the kernel names in brackets, such as `[heap]` or `[anon:NAME]`.
    Special(String),
}

/// One mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "the four permission characters of the kernel's line")]
pub struct Mapping {
    /// Where it is.
    pub range: AddressRange,
    /// May be read.
    pub read: bool,
    /// May be written.
    pub write: bool,
    /// May be executed.
    pub execute: bool,
    /// Writes go to the file or to other processes.
    pub shared: bool,
    /// Offset in the file.
    pub offset: u64,
    /// What backs it.
    pub backing: Backing,
}

impl Mapping {
    /// True for private memory that no file backs and the kernel does not use itself.
    pub fn is_private_anonymous(&self) -> bool {
        let plain = match &self.backing {
            Backing::Anonymous => true,
            Backing::Special(name) => name.starts_with("[anon:"),
            Backing::File { .. } => false,
        };
        plain && !self.shared
    }

    /// True if the kernel calls the mapping `name`, brackets included.
    pub fn is_special(&self, name: &str) -> bool {
        matches!(&self.backing, Backing::Special(found) if found == name)
    }

    /// True if no access is allowed.
    pub fn is_guard(&self) -> bool {
        !self.read && !self.write && !self.execute
    }

    /// The path of the file that backs the mapping.
    pub fn path(&self) -> Option<&Path> {
        match &self.backing {
            Backing::File { path, .. } => Some(path),
            _ => None,
        }
    }

    /// The file name without directory, if a file backs the mapping.
    pub fn file_name(&self) -> Option<String> {
        self.path()?.file_name().map(|name| name.to_string_lossy().into_owned())
    }
}

/// An open `/proc/PID/maps`, to be read several times.
#[derive(Debug)]
pub struct MapsFile {
    file: File,
    text: Vec<u8>,
}

impl MapsFile {
    /// Takes the open file.
    pub fn new(file: File) -> Self {
        MapsFile { file, text: Vec::new() }
    }

    /// Reads the mappings as they are now. The result is empty for a process without memory.
    pub fn read(&mut self) -> io::Result<&[u8]> {
        // The kernel hands out whole lines, a page of them at most at a time.
        const PIECE: usize = 64 * 1024;
        let mut len = 0;
        loop {
            if self.text.len() < len + PIECE {
                self.text.resize(len + PIECE, 0);
            }
            match self.file.read_at(&mut self.text[len..], len as u64) {
                Ok(0) => return Ok(&self.text[..len]),
                Ok(count) => len += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// All mappings of a process by ascending address.
#[derive(Clone, Debug, Default)]
pub struct MemoryMap {
    mappings: Vec<Mapping>,
    text: Vec<u8>,
}

impl MemoryMap {
    /// Reads the text of `/proc/PID/maps`. Lines that cannot be understood are left out.
    pub fn parse(text: Vec<u8>) -> Self {
        let mappings = String::from_utf8_lossy(&text).lines().filter_map(parse_line).collect();
        MemoryMap { mappings, text }
    }

    /// The text that this was read from.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The mapping that holds `address`.
    pub fn find(&self, address: RuntimeAddr) -> Option<&Mapping> {
        let behind = self.mappings.partition_point(|mapping| mapping.range.end <= address);
        self.mappings.get(behind).filter(|mapping| mapping.range.contains(address))
    }

    /// All mappings.
    pub fn iter(&self) -> std::slice::Iter<'_, Mapping> {
        self.mappings.iter()
    }

    /// The free ranges between mappings from `lowest` up to `highest`.
    pub fn gaps(&self, lowest: RuntimeAddr, highest: RuntimeAddr) -> Vec<AddressRange> {
        let mut gaps = Vec::new();
        let mut start = lowest;
        for mapping in &self.mappings {
            let end = mapping.range.start.min(highest);
            if start < end {
                gaps.push(AddressRange { start, end });
            }
            start = start.max(mapping.range.end);
        }
        if start < highest {
            gaps.push(AddressRange { start, end: highest });
        }
        gaps
    }
}

impl<'a> IntoIterator for &'a MemoryMap {
    type Item = &'a Mapping;
    type IntoIter = std::slice::Iter<'a, Mapping>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

fn parse_line(line: &str) -> Option<Mapping> {
    let mut rest = line;
    let mut field = || {
        let trimmed = rest.trim_start_matches(' ');
        let (field, behind) = trimmed.split_once(' ').unwrap_or((trimmed, ""));
        rest = behind;
        (!field.is_empty()).then_some(field)
    };
    let (start, end) = field()?.split_once('-')?;
    let permissions = field()?.as_bytes();
    let offset = field()?;
    let _device = field()?;
    let _inode = field()?;
    let name = rest.trim_start_matches(' ');
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let backing = if name.is_empty() {
        Backing::Anonymous
    } else if name.starts_with('[') {
        Backing::Special(name.to_owned())
    } else {
        let (path, deleted) = match name.strip_suffix(" (deleted)") {
            Some(path) => (path, true),
            None => (name, false),
        };
        // The kernel escapes newlines, so that a line stays a line.
        Backing::File { path: PathBuf::from(path.replace("\\012", "\n")), deleted }
    };
    let [read, write, execute, sharing] = permissions.get(..4)?.try_into().ok()?;
    Some(Mapping {
        range: AddressRange { start: RuntimeAddr(hex(start)?), end: RuntimeAddr(hex(end)?) },
        read: read == b'r',
        write: write == b'w',
        execute: execute == b'x',
        shared: sharing == b's',
        offset: hex(offset)?,
        backing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
400000-401000 r--p 00000000 fe:00 12                                     /opt/a b/prog (deleted)
401000-402000 r-xp 00001000 fe:00 12                                     /opt/a b/prog (deleted)
7f0000000000-7f0000001000 ---p 00000000 00:00 0 
7f0000001000-7f0000801000 rw-p 00000000 00:00 0 
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
";

    #[test]
    fn names_with_spaces_and_deleted_files() {
        let map = MemoryMap::parse(TEXT.as_bytes().to_vec());
        let text = map.find(RuntimeAddr(0x40_1234)).unwrap();
        assert!(text.execute && !text.write && !text.shared);
        assert_eq!(text.offset, 0x1000);
        assert_eq!(text.backing, Backing::File { path: PathBuf::from("/opt/a b/prog"), deleted: true });
        assert_eq!(text.file_name().as_deref(), Some("prog"));
    }

    #[test]
    fn lookup_and_gaps() {
        let map = MemoryMap::parse(TEXT.as_bytes().to_vec());
        assert!(map.find(RuntimeAddr(0x40_2000)).is_none());
        assert!(map.find(RuntimeAddr(0x7f00_0000_0000)).unwrap().is_guard());
        assert!(map.find(RuntimeAddr(0x7f00_0000_1000)).unwrap().is_private_anonymous());
        assert!(map.find(RuntimeAddr(0x7ffc_0000_0000)).unwrap().is_special("[stack]"));
        let gaps = map.gaps(RuntimeAddr(0x1_0000), RuntimeAddr(0x7f00_0000_0000));
        assert_eq!(gaps[0], AddressRange { start: RuntimeAddr(0x1_0000), end: RuntimeAddr(0x40_0000) });
        assert_eq!(
            gaps[1],
            AddressRange { start: RuntimeAddr(0x40_2000), end: RuntimeAddr(0x7f00_0000_0000) }
        );
        assert_eq!(gaps.len(), 2);
    }
}
