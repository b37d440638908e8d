//! The target's memory.

use crate::address::{PAGE, RuntimeAddr};
use crate::error::{LoaderError, Result};
use crate::process::Process;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;

/// `UIO_MAXIOV`, the most pieces that one process_vm_readv(2) takes.
const MAX_PIECES: usize = 1024;

/// Memory of a process through `/proc/PID/mem`.
///
/// The file stays bound to the address space that it was opened for: after an execve(2), or when the process
/// number is used again, accesses fail instead of reaching other memory.
#[derive(Debug)]
pub struct RemoteMemory {
    file: File,
    pid: Pid,
}

impl RemoteMemory {
    /// Opens the memory for reading.
    pub fn open(process: &Process) -> Result<Self> {
        Self::open_with(process, OFlag::O_RDONLY)
    }

    /// Opens the memory for reading and writing.
    pub fn open_writable(process: &Process) -> Result<Self> {
        Self::open_with(process, OFlag::O_RDWR)
    }

    fn open_with(process: &Process, flags: OFlag) -> Result<Self> {
        let file =
            process.open_file("mem", flags).map_err(|error| process.explain("opening memory", error))?;
        Ok(RemoteMemory { file, pid: process.pid() })
    }

    /// Fills `buffer` from `address` on.
    pub fn read(&self, address: RuntimeAddr, buffer: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(buffer, address.0).map_err(|source| self.error("read", address, source))
    }

    /// Reads `len` bytes.
    pub fn read_vec(&self, address: RuntimeAddr, len: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len as usize];
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads one little-endian word.
    pub fn read_u64(&self, address: RuntimeAddr) -> Result<u64> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Writes all of `bytes`, also where the mapping is read-only: the kernel copies the page first.
    pub fn write(&self, address: RuntimeAddr, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, address.0).map_err(|source| self.error("write", address, source))
    }

    /// Writes `bytes`, which lie in one page, by one system call: either all of them or none arrive.
    pub fn write_at_once(&self, address: RuntimeAddr, bytes: &[u8]) -> Result<()> {
        assert!(address.0 % PAGE + bytes.len() as u64 <= PAGE, "one write never crosses a page");
        loop {
            match self.file.write_at(bytes, address.0) {
                Ok(written) if written == bytes.len() => return Ok(()),
                Ok(_) => return Err(self.error("write", address, io::ErrorKind::WriteZero.into())),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error("write", address, error)),
            }
        }
    }

    /// Fills as much of `buffer` as is readable from `address` on, by one process_vm_readv(2).
    pub fn read_available(&self, address: RuntimeAddr, buffer: &mut [u8]) -> Result<usize> {
        let remote = [RemoteIoVec { base: address.0 as usize, len: buffer.len() }];
        match process_vm_readv(self.pid, &mut [IoSliceMut::new(buffer)], &remote) {
            Ok(count) => Ok(count),
            Err(Errno::EFAULT) => Ok(0),
            Err(errno) => Err(self.error("read", address, errno.into())),
        }
    }

    /// Reads many small pieces by few system calls. The pieces follow each other in the result.
    pub fn read_pieces(&self, pieces: &[(RuntimeAddr, usize)]) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(pieces.iter().map(|(_, len)| len).sum());
        for pieces in pieces.chunks(MAX_PIECES) {
            let remote: Vec<RemoteIoVec> =
                pieces.iter().map(|&(address, len)| RemoteIoVec { base: address.0 as usize, len }).collect();
            let start = bytes.len();
            bytes.resize(start + remote.iter().map(|piece| piece.len).sum::<usize>(), 0);
            let wanted = bytes.len() - start;
            let address = pieces.first().map_or(RuntimeAddr(0), |piece| piece.0);
            let read = process_vm_readv(self.pid, &mut [IoSliceMut::new(&mut bytes[start..])], &remote)
                .map_err(|errno| self.error("read", address, errno.into()))?;
            if read != wanted {
                return Err(self.error("read", address, Errno::EFAULT.into()));
            }
        }
        Ok(bytes)
    }

    fn error(&self, what: &'static str, address: RuntimeAddr, source: io::Error) -> LoaderError {
        match source.raw_os_error() {
            Some(libc::ESRCH) => LoaderError::ProcessEnded(self.pid),
            _ => LoaderError::Memory { pid: self.pid, what, address, source },
        }
    }
}
