//! Addresses in a running process.

use patchfile::LinkAddr;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An address in the target's address space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuntimeAddr(pub u64);

impl RuntimeAddr {
    /// The address `bytes` further on, wrapping as addresses do.
    #[must_use]
    pub fn plus(self, bytes: u64) -> Self {
        RuntimeAddr(self.0.wrapping_add(bytes))
    }

    /// The start of the page that holds this address.
    #[must_use]
    pub fn page(self) -> Self {
        RuntimeAddr(self.0 & !(PAGE - 1))
    }
}

impl fmt::Display for RuntimeAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// Size of a page.
pub(crate) const PAGE: u64 = patchfile::format::PAGE_SIZE;

/// `bytes` rounded up to whole pages.
pub(crate) fn whole_pages(bytes: u64) -> u64 {
    bytes.next_multiple_of(PAGE)
}

/// The addresses from `start` up to, not including, `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AddressRange {
    /// First address.
    pub start: RuntimeAddr,
    /// First address behind the range.
    pub end: RuntimeAddr,
}

impl AddressRange {
    /// The `len` bytes from `start`.
    pub fn sized(start: RuntimeAddr, len: u64) -> Self {
        AddressRange { start, end: RuntimeAddr(start.0.saturating_add(len)) }
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.end.0.saturating_sub(self.start.0)
    }

    /// True if there is no address in the range.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if `address` is in the range.
    pub fn contains(&self, address: RuntimeAddr) -> bool {
        self.start <= address && address < self.end
    }

    /// True if all of `other` is in the range.
    pub fn contains_range(&self, other: &AddressRange) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// What has to be added to an image's link-time addresses to get runtime addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadBias(pub u64);

impl LoadBias {
    /// The runtime address of `address`.
    pub fn at(self, address: LinkAddr) -> RuntimeAddr {
        RuntimeAddr(address.0.wrapping_add(self.0))
    }
}
