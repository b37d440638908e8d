//! The target's memory.

use crate::address::{AddressRange, PAGE, RuntimeAddr};
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
    process: Process,
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
        Ok(RemoteMemory { file, process: process.clone() })
    }

    /// True if no process has this memory any more.
    pub(crate) fn is_gone(&self) -> bool {
        // Only then nothing is read without an error, whatever the address (fs/proc/base.c, mem_rw).
        matches!(self.file.read_at(&mut [0], PAGE), Ok(0))
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
        match process_vm_readv(self.pid(), &mut [IoSliceMut::new(buffer)], &remote) {
            Ok(count) => Ok(count),
            Err(Errno::EFAULT) => Ok(0),
            Err(errno) => Err(self.error("read", address, errno.into())),
        }
    }

    /// Appends the bytes of each range to `buffer`, by as few system calls as possible. False if not all
    /// of it is readable.
    pub fn read_ranges(&self, ranges: &[AddressRange], buffer: &mut Vec<u8>) -> Result<bool> {
        for ranges in ranges.chunks(MAX_PIECES) {
            let remote: Vec<RemoteIoVec> = ranges
                .iter()
                .map(|range| RemoteIoVec { base: range.start.0 as usize, len: range.len() as usize })
                .collect();
            let start = buffer.len();
            buffer.resize(start + remote.iter().map(|piece| piece.len).sum::<usize>(), 0);
            let wanted = buffer.len() - start;
            match process_vm_readv(self.pid(), &mut [IoSliceMut::new(&mut buffer[start..])], &remote) {
                Ok(read) if read == wanted => {}
                Ok(_) | Err(Errno::EFAULT) => return Ok(false),
                Err(errno) => {
                    let address = ranges.first().map_or(RuntimeAddr(0), |range| range.start);
                    return Err(self.error("read", address, errno.into()));
                }
            }
        }
        Ok(true)
    }

    /// Reads many small pieces by few system calls. The pieces follow each other in the result.
    pub fn read_pieces(&self, pieces: &[(RuntimeAddr, usize)]) -> Result<Vec<u8>> {
        let ranges: Vec<AddressRange> =
            pieces.iter().map(|&(start, len)| AddressRange::sized(start, len as u64)).collect();
        let mut bytes = Vec::new();
        if self.read_ranges(&ranges, &mut bytes)? {
            return Ok(bytes);
        }
        // One by one, to name the one that is missing.
        bytes.clear();
        for &(start, len) in pieces {
            bytes.extend(self.read_vec(start, len as u64)?);
        }
        Ok(bytes)
    }

    /// The process.
    pub(crate) fn pid(&self) -> Pid {
        self.process.pid()
    }

    fn error(&self, what: &'static str, address: RuntimeAddr, source: io::Error) -> LoaderError {
        // Nothing at all is read or written once the memory is gone; what is not mapped gives an error number.
        let nothing = matches!(source.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::WriteZero);
        if nothing || source.raw_os_error() == Some(libc::ESRCH) {
            return self.process.without_memory();
        }
        LoaderError::Memory { pid: self.pid(), what, address, source }
    }
}
