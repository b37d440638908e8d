//! The request to stop, which any thread may make and all of them see.

use crate::complain;
use crate::error::{Error, Result};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

/// Shared by all threads.
pub(crate) struct Stop {
    requested: AtomicBool,
    exit_status: AtomicU8,
    /// Readable from the request on.
    event: EventFd,
}

impl Stop {
    pub(crate) fn new() -> Result<Self> {
        let event = EventFd::new(EFD_CLOEXEC | EFD_NONBLOCK).map_err(Error::EventFd)?;
        Ok(Stop { requested: AtomicBool::new(false), exit_status: AtomicU8::new(0), event })
    }

    /// The first request that reports a failure sets the exit status.
    pub(crate) fn request(&self, exit_status: u8) {
        let _ = self.exit_status.compare_exchange(0, exit_status, Ordering::Relaxed, Ordering::Relaxed);
        self.requested.store(true, Ordering::SeqCst);
        if let Err(error) = self.event.write(1) {
            complain(format_args!("cannot signal the stop: {error}"));
        }
    }

    pub(crate) fn requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }

    pub(crate) fn exit_status(&self) -> u8 {
        self.exit_status.load(Ordering::Relaxed)
    }
}

impl AsRawFd for Stop {
    fn as_raw_fd(&self) -> RawFd {
        self.event.as_raw_fd()
    }
}
