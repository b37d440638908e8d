//! The record at the start of every region that a loader mapped into a target.
//!
//! It makes the target its own record: what is applied is read from here and from the text, never from a file
//! on the host. The first 256 bytes have a fixed layout, little-endian:
//!
//! ```text
//!   0  magic                     64  patch ID, 32 bytes
//!   8  version (u32)             96  length of the build ID (u32)
//!  12  state (u32)              100  length of the table (u32)
//!  16  address of the region    104  build ID, 64 bytes
//!  24  bytes mapped r-x         168  SHA-256 of the table
//!  32  bytes mapped rw-         200  start of the patch's code
//!  40  time applied, seconds    208  end of the patch's code
//!  48  load bias of the image   216  start of its unwind tables, 0 if there are none
//!  56  address of the gate      224  their end
//!                               232  start of the image's own unwind tables, if only the patch tells
//!                               240  their end
//! ```
//!
//! The table behind them is a JSON document, [`Table`].

use crate::address::{AddressRange, LoadBias, PAGE, RuntimeAddr};
use crate::combine::Reliance;
use crate::error::{LoaderError, Result};
use crate::maps::MemoryMap;
use crate::memory::RemoteMemory;
use crate::redirect::RuntimeRedirect;
use nix::unistd::Pid;
use patchfile::{BuildId, PatchId, Sha256};
use serde::{Deserialize, Serialize};

const MAGIC: [u8; 8] = *b"\x7fTGPMEM\0";
/// Version 2 added what a patch relies on to the table, version 3 the unwind tables.
const VERSION: u32 = 3;
const MAX_BUILD_ID: usize = 64;
/// No patch has a table this long.
const MAX_TABLE: u32 = 256 << 20;
/// Anonymous executable mappings longer than this are code caches of just-in-time compilers; a region is
/// looked for at their start only.
const MAX_SEARCHED: u64 = 64 << 20;
/// Length of the fixed part.
pub(crate) const HEADER_LEN: u64 = 256;

/// What a region is used for. Whether its redirects are in place is read from the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionState {
    /// Nothing yet, or an interrupted loader did not get further. Any patch may use it.
    Empty,
    /// It holds a patch with all its contents.
    Filled,
}

/// The fixed part of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the region is used for.
    pub state: RegionState,
    /// The part that is mapped readable and executable; the record is its start.
    pub executable: AddressRange,
    /// Length of the part behind it that is mapped readable and writable.
    pub writable_len: u64,
    /// When the patch was applied last, in seconds since 1970.
    pub applied_at: u64,
    /// Load bias of the image.
    pub bias: LoadBias,
    /// The gate byte.
    pub gate: RuntimeAddr,
    /// Which patch this is.
    pub patch: PatchId,
    /// Build ID of the patch's target.
    pub build_id: BuildId,
    /// The patch's code, trampolines included.
    pub code: AddressRange,
    /// Unwind tables of that code, empty if there are none.
    pub frames: AddressRange,
    /// Unwind tables of the image itself, empty if its program headers lead to them.
    pub image_frames: AddressRange,
    table_len: u32,
    table_digest: Sha256,
}

/// The variable part of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// File name of the image.
    pub image: String,
    /// The redirected functions.
    pub functions: Vec<RuntimeRedirect>,
    /// What the patch's code relies on.
    pub reliance: Reliance,
}

/// A region with its table.
#[derive(Clone, Debug)]
pub struct Record {
    /// The fixed part.
    pub header: Header,
    /// The variable part.
    pub table: Table,
}

impl Header {
    /// The header of a region that nothing uses.
    pub fn empty(region: AddressRange) -> Self {
        Header {
            state: RegionState::Empty,
            executable: region,
            writable_len: 0,
            applied_at: 0,
            bias: LoadBias(0),
            gate: RuntimeAddr(0),
            patch: PatchId([0; 32]),
            build_id: BuildId(Vec::new()),
            code: AddressRange::default(),
            frames: AddressRange::default(),
            image_frames: AddressRange::default(),
            table_len: 0,
            table_digest: Sha256::of(&[]),
        }
    }

    /// The same header for a table of these bytes.
    #[must_use]
    pub fn with_table(mut self, table: &[u8]) -> Self {
        self.table_len = table.len() as u32;
        self.table_digest = Sha256::of(table);
        self
    }

    /// The bytes of the header, to be written at the start of the region at once.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN as usize] {
        let mut bytes = [0; HEADER_LEN as usize];
        let mut put = |offset: usize, value: &[u8]| {
            bytes[offset..offset + value.len()].copy_from_slice(value);
        };
        put(0, &MAGIC);
        put(8, &VERSION.to_le_bytes());
        let state: u32 = match self.state {
            RegionState::Empty => 0,
            RegionState::Filled => 1,
        };
        put(12, &state.to_le_bytes());
        let numbers = [
            self.executable.start.0,
            self.executable.len(),
            self.writable_len,
            self.applied_at,
            self.bias.0,
            self.gate.0,
        ];
        for (index, number) in numbers.iter().enumerate() {
            put(16 + 8 * index, &number.to_le_bytes());
        }
        put(64, &self.patch.0);
        put(96, &(self.build_id.0.len().min(MAX_BUILD_ID) as u32).to_le_bytes());
        put(100, &self.table_len.to_le_bytes());
        put(104, &self.build_id.0[..self.build_id.0.len().min(MAX_BUILD_ID)]);
        put(168, &self.table_digest.0);
        put(200, &self.code.start.0.to_le_bytes());
        put(208, &self.code.end.0.to_le_bytes());
        put(216, &self.frames.start.0.to_le_bytes());
        put(224, &self.frames.end.0.to_le_bytes());
        put(232, &self.image_frames.start.0.to_le_bytes());
        put(240, &self.image_frames.end.0.to_le_bytes());
        bytes
    }

    /// Reads a header. None if the bytes at `start` are none.
    fn parse(bytes: &[u8; HEADER_LEN as usize], start: RuntimeAddr) -> Option<Self> {
        let u32_at = |offset: usize| bytes[offset..offset + 4].try_into().map(u32::from_le_bytes).ok();
        let u64_at = |offset: usize| bytes[offset..offset + 8].try_into().map(u64::from_le_bytes).ok();
        if version(bytes)? != VERSION || u64_at(16)? != start.0 {
            return None;
        }
        let state = match u32_at(12)? {
            0 => RegionState::Empty,
            1 => RegionState::Filled,
            _ => return None,
        };
        let build_id_len = u32_at(96)? as usize;
        Some(Header {
            state,
            executable: AddressRange::sized(start, u64_at(24)?),
            writable_len: u64_at(32)?,
            applied_at: u64_at(40)?,
            bias: LoadBias(u64_at(48)?),
            gate: RuntimeAddr(u64_at(56)?),
            patch: PatchId(bytes[64..96].try_into().ok()?),
            build_id: BuildId(bytes[104..].get(..build_id_len.min(MAX_BUILD_ID))?.to_vec()),
            code: AddressRange { start: RuntimeAddr(u64_at(200)?), end: RuntimeAddr(u64_at(208)?) },
            frames: AddressRange { start: RuntimeAddr(u64_at(216)?), end: RuntimeAddr(u64_at(224)?) },
            image_frames: AddressRange { start: RuntimeAddr(u64_at(232)?), end: RuntimeAddr(u64_at(240)?) },
            table_len: u32_at(100)?,
            table_digest: Sha256(bytes[168..200].try_into().ok()?),
        })
    }

    /// Reads the header at `start`, if there is one.
    pub fn read(start: RuntimeAddr, memory: &RemoteMemory) -> Result<Option<Self>> {
        let mut bytes = [0; HEADER_LEN as usize];
        if memory.read(start, &mut bytes).is_err() {
            return Ok(None);
        }
        match version(&bytes) {
            Some(found) if found != VERSION => {
                Err(LoaderError::RecordVersion { pid: memory.pid(), address: start, found, known: VERSION })
            }
            _ => Ok(Header::parse(&bytes, start)),
        }
    }

    /// Reads the table that belongs to this header.
    pub fn read_table(&self, memory: &RemoteMemory, pid: Pid) -> Result<Table> {
        let address = self.executable.start;
        let damaged = |what: &str| LoaderError::DamagedRecord { pid, address, what: what.to_owned() };
        if self.table_len > MAX_TABLE || HEADER_LEN + u64::from(self.table_len) > self.executable.len() {
            return Err(damaged("its table does not fit"));
        }
        let bytes = memory.read_vec(address.plus(HEADER_LEN), u64::from(self.table_len))?;
        if Sha256::of(&bytes) != self.table_digest {
            return Err(damaged("its table was changed"));
        }
        let table: Table = serde_json::from_slice(&bytes).map_err(|error| damaged(&error.to_string()))?;
        // The target may be hostile.
        let sound = table.functions.iter().all(RuntimeRedirect::is_sound);
        if sound { Ok(table) } else { Err(damaged("a redirect is not one write within a page")) }
    }
}

/// The version of a header of any version; None if the bytes are none.
fn version(bytes: &[u8; HEADER_LEN as usize]) -> Option<u32> {
    let version = bytes.strip_prefix(&MAGIC)?.first_chunk()?;
    Some(u32::from_le_bytes(*version))
}

/// All regions in a process, the empty ones too.
pub fn find_all(map: &MemoryMap, memory: &RemoteMemory) -> Result<Vec<Header>> {
    let mut found = Vec::new();
    for mapping in map {
        if !(mapping.is_private_anonymous() && mapping.execute && mapping.read && !mapping.write) {
            continue;
        }
        // The kernel joins neighbours of the same kind, so a region may start inside a mapping.
        let mut start = mapping.range.start;
        while start < mapping.range.end {
            match Header::read(start, memory)? {
                Some(header) if mapping.range.contains_range(&header.executable) => {
                    start = start.plus(header.executable.len().max(PAGE).next_multiple_of(PAGE));
                    found.push(header);
                }
                _ if mapping.range.len() > MAX_SEARCHED => break,
                _ => start = start.plus(PAGE),
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_survives_its_bytes() {
        let start = RuntimeAddr(0x5000_0000);
        let mut header = Header::empty(AddressRange::sized(start, 0x3000)).with_table(b"{}");
        header.state = RegionState::Filled;
        header.writable_len = 0x1000;
        header.applied_at = 1_700_000_000;
        header.build_id = BuildId(vec![7; 20]);
        header.patch = PatchId([9; 32]);
        assert_eq!(Header::parse(&header.to_bytes(), start), Some(header.clone()));
        assert_eq!(Header::parse(&header.to_bytes(), start.plus(PAGE)), None);
        assert_eq!(version(&header.to_bytes()), Some(VERSION));
        assert_eq!(version(&[0; HEADER_LEN as usize]), None);
    }
}
