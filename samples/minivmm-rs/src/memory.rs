//! Guest RAM.

use crate::error::{Error, Result};
use crate::guest::{AREA_COUNT, CPU_AREA_BASE, CPU_AREA_SIZE, GUEST_ENTRY, GUEST_RAM_SIZE, PROGRAM};
use std::sync::atomic::Ordering;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

/// Guest RAM; clones are the same memory.
pub(crate) type Ram = GuestMemoryMmap<()>;

/// Allocates guest RAM with the guest's program in it.
pub(crate) fn create() -> Result<Ram> {
    let failed = |error: &dyn std::error::Error| Error::GuestMemory(error.to_string());
    let ram =
        Ram::from_ranges(&[(GuestAddress(0), GUEST_RAM_SIZE as usize)]).map_err(|error| failed(&error))?;
    ram.write_slice(PROGRAM, GuestAddress(GUEST_ENTRY.into())).map_err(|error| failed(&error))?;
    Ok(ram)
}

/// The count that a vCPU's guest code keeps in its area.
pub(crate) fn guest_count(ram: &Ram, cpu: u8) -> u32 {
    let area = CPU_AREA_BASE + u32::from(cpu) * CPU_AREA_SIZE;
    ram.load(GuestAddress((area + AREA_COUNT).into()), Ordering::Relaxed).expect("all areas are in RAM")
}
