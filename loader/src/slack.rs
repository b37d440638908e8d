//! A few unused bytes in an executable page, from which a thread makes system calls for the loader.
//!
//! The file's last text page is mapped whole, so behind the end of the segment there are bytes that nothing
//! refers to. The loader takes the last 64 of them if they are zero, and zeroes them again afterwards:
//!
//! ```text
//!  0  magic
//!  8  address of the mapping that the calls are to make
//! 16  its length
//! 24  syscall; mov $15,%eax; syscall      the second one is rt_sigreturn(2)
//! ```
//!
//! Marker and code are one write. An interrupted loader leaves them, and the next one knows from them what
//! was going on.

use crate::address::{AddressRange, PAGE, RuntimeAddr};
use crate::error::Result;
use crate::image::Image;
use crate::maps::MemoryMap;
use crate::memory::RemoteMemory;

const MAGIC: [u8; 8] = *b"\x7fTGPSLOT";
const CODE_OFFSET: usize = 24;
const CODE: [u8; 9] = [
    0x0f, 0x05, // syscall
    0xb8, 0x0f, 0x00, 0x00, 0x00, // mov $15, %eax
    0x0f, 0x05, // syscall
];
const SLOT_LEN: usize = 64;

/// The bytes, where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slack {
    address: RuntimeAddr,
}

impl Slack {
    /// The `syscall` instruction.
    pub(crate) fn code(self) -> RuntimeAddr {
        self.address.plus(CODE_OFFSET as u64)
    }

    /// All the bytes.
    pub(crate) fn range(self) -> AddressRange {
        AddressRange::sized(self.address, SLOT_LEN as u64)
    }

    /// Writes the code, marked with the mapping that it is going to make.
    pub(crate) fn occupy(self, memory: &RemoteMemory, mapping: AddressRange) -> Result<()> {
        let mut slot = [0; SLOT_LEN];
        slot[..8].copy_from_slice(&MAGIC);
        slot[8..16].copy_from_slice(&mapping.start.0.to_le_bytes());
        slot[16..24].copy_from_slice(&mapping.len().to_le_bytes());
        slot[CODE_OFFSET..CODE_OFFSET + CODE.len()].copy_from_slice(&CODE);
        memory.write_at_once(self.address, &slot)
    }

    /// True if the process itself has the code in its memory: after execve(2) `memory` is still the one from
    /// before, which a parent may run in (vfork(2)).
    pub(crate) fn is_reached(self, memory: &RemoteMemory) -> bool {
        let mut found = [0; CODE.len()];
        memory.read_available(self.code(), &mut found).is_ok() && found == CODE
    }

    /// Puts the zeros back.
    pub(crate) fn vacate(self, memory: &RemoteMemory) -> Result<()> {
        memory.write_at_once(self.address, &[0; SLOT_LEN])
    }
}

/// What the slack of a process holds.
#[derive(Debug, Default)]
pub(crate) struct SlackSearch {
    /// Unused places; the first one is the best.
    pub(crate) free: Vec<Slack>,
    /// Places that an interrupted loader left, with the mapping that it was about to make.
    pub(crate) left: Vec<(Slack, AddressRange)>,
}

/// Looks behind the text segments of all images; those of `preferred` come first.
pub(crate) fn search(
    map: &MemoryMap,
    images: &[Image],
    preferred: Option<&Image>,
    memory: &RemoteMemory,
) -> SlackSearch {
    let mut found = SlackSearch::default();
    let is_preferred = |image: &Image| preferred.is_some_and(|preferred| preferred.bias == image.bias);
    let mut images: Vec<&Image> = images.iter().collect();
    // The kernel's own page comes last.
    images.sort_by_key(|image| (!is_preferred(image), image.path.is_none()));
    for image in images {
        for segment in image.segments().filter(|segment| segment.execute) {
            let Some(end) = segment.file_bytes.end.0.checked_next_multiple_of(PAGE) else { continue };
            let end = RuntimeAddr(end);
            let address = RuntimeAddr(end.0.wrapping_sub(SLOT_LEN as u64));
            let range = AddressRange { start: address, end };
            let usable = address >= segment.memory.end.max(segment.file_bytes.end)
                && map.find(address).is_some_and(|mapping| {
                    let plain = mapping.execute && mapping.read && !mapping.write && !mapping.shared;
                    plain && mapping.range.contains_range(&range)
                });
            let mut slot = [0; SLOT_LEN];
            if !usable || memory.read(address, &mut slot).is_err() {
                continue;
            }
            let word = |offset: usize| {
                slot[offset..offset + 8].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
            };
            if slot == [0; SLOT_LEN] {
                found.free.push(Slack { address });
            } else if slot[..8] == MAGIC {
                let mapping = AddressRange::sized(RuntimeAddr(word(8)), word(16));
                found.left.push((Slack { address }, mapping));
            }
        }
    }
    found
}
