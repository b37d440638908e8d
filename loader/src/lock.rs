//! One loader at a time works on a target.

use crate::error::{LoaderError, Result};
use crate::process::Process;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use std::fs::File;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The right to change a target's memory.
///
/// A flock(2) on the target's `/proc/PID` directory: it belongs to the process and not to its number, vanishes
/// with the holder however that dies, and leaves no file behind. All loaders that see the target through the
/// same proc file system exclude each other.
#[derive(Debug)]
pub struct TargetLock {
    _lock: Flock<File>,
}

impl TargetLock {
    /// Takes the lock, waiting until `deadline` if another loader holds it.
    pub fn take(process: &Process, deadline: Instant) -> Result<Self> {
        let open = || process.open_file(".", OFlag::O_RDONLY | OFlag::O_DIRECTORY);
        let mut file = open().map_err(|error| process.explain("opening /proc", error))?;
        loop {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(TargetLock { _lock: lock }),
                Err((back, Errno::EWOULDBLOCK | Errno::EINTR)) => {
                    if Instant::now() >= deadline || crate::sys::cancelled() {
                        return Err(LoaderError::Locked(process.pid()));
                    }
                    sleep(Duration::from_millis(5));
                    file = back;
                }
                Err((_, errno)) => {
                    return Err(LoaderError::system(process.pid(), "locking", errno.into()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_loader_waits_and_first_ones_end_frees() {
        let process = Process::open(std::process::id() as i32).unwrap();
        let again = Process::open(std::process::id() as i32).unwrap();
        let held = TargetLock::take(&process, Instant::now()).unwrap();
        let soon = Instant::now() + Duration::from_millis(20);
        assert!(matches!(TargetLock::take(&again, soon), Err(LoaderError::Locked(_))));
        assert!(Instant::now() >= soon);
        drop(held);
        TargetLock::take(&again, Instant::now()).unwrap();
    }
}
