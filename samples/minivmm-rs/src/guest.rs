//! What the guest and the machine agree on, and the guest's program. Both come from minivmm's sources.

#![allow(
    dead_code,
    missing_docs,
    reason = "the header's comments tell the meaning; part of it is for the guest only"
)]

include!(concat!(env!("OUT_DIR"), "/guest_abi.rs"));

/// The guest's program, to be placed at `GUEST_ENTRY`.
pub(crate) static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest.bin"));
