//! The device models.

pub(crate) mod block;
pub(crate) mod disk;
pub(crate) mod report;
pub(crate) mod serial;
pub(crate) mod timer;
