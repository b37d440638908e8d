//! What can go wrong.

use std::io;
use std::path::PathBuf;

/// A result of this program.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Why the machine cannot be made or cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot allocate guest memory: {0}")]
    GuestMemory(String),
    #[error("/dev/kvm has API version {0}")]
    KvmVersion(i32),
    #[error("{0}: {1}")]
    Kvm(&'static str, kvm_ioctls::Error),
    #[error("cannot {0} \"{1}\": {2}")]
    File(&'static str, PathBuf, io::Error),
    #[error("cannot create an eventfd: {0}")]
    EventFd(io::Error),
    #[error("event loop: {0}")]
    EventLoop(#[from] event_manager::Error),
    #[error("epoll: {0}")]
    Epoll(io::Error),
    #[error("cannot start the thread {0}: {1}")]
    Thread(String, io::Error),
    #[error("cannot make the seccomp filter of {0}: {1}")]
    Seccomp(&'static str, seccompiler::Error),
    #[error("cannot handle the kick signal: {0}")]
    Signal(vmm_sys_util::errno::Error),
    #[error("{0} did not stop")]
    Stuck(String),
}

impl Error {
    /// For `map_err`: what was being done with which file.
    pub(crate) fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Error::File(what, path, error)
    }
}
