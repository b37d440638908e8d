//! Block device, the side of the I/O thread: the queue of descriptors, the transfers, and the flush of what was
//! written.

use crate::complain;
use crate::counter::Counter;
use crate::error::{Error, Result};
use crate::guest::{
    BLOCK_FAILED, BLOCK_OK, BLOCK_OP_READ, BLOCK_OP_WRITE, DESC_BUFFER, DESC_OP, DESC_SECTOR, DESC_STATUS,
    MIN_DISK_SECTORS, SECTOR_SIZE,
};
use crate::memory::Ram;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryError};

const QUEUE_LEN: usize = 64;
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// Addresses of descriptors that the I/O thread has not seen yet.
#[derive(Default)]
pub(crate) struct Queue(VecDeque<u32>);

impl Queue {
    /// False if there is no room.
    pub(crate) fn push(&mut self, descriptor: u32) -> bool {
        let room = self.0.len() < QUEUE_LEN;
        if room {
            self.0.push_back(descriptor);
        }
        room
    }

    fn pop(&mut self) -> Option<u32> {
        assert!(self.0.len() <= QUEUE_LEN, "{} descriptors are queued", self.0.len());
        self.0.pop_front()
    }
}

/// Requests taken, and those that failed.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: Counter,
    pub(crate) errors: Counter,
}

/// Opens a disk; it is created, or extended to the smallest size. Returns its number of sectors too.
pub(crate) fn open(path: &Path) -> Result<(File, u32)> {
    let smallest = u64::from(MIN_DISK_SECTORS * SECTOR_SIZE);
    let mut options = OpenOptions::new();
    let opened = options.read(true).write(true).create(true).truncate(false).open(path);
    let file = opened.map_err(Error::file("open", path))?;
    let mut len = file.metadata().map_err(Error::file("examine", path))?.len();
    if len < smallest {
        len = smallest;
        file.set_len(len).map_err(Error::file("extend", path))?;
    }
    Ok((file, (len / u64::from(SECTOR_SIZE)) as u32))
}

/// Completes a descriptor that cannot be handled.
pub(crate) fn fail(ram: &Ram, descriptor: u32, counts: &Counts) {
    counts.errors.count();
    complete(ram, descriptor, BLOCK_FAILED);
}

/// The status is what the guest polls: everything else must be visible before it.
fn complete(ram: &Ram, descriptor: u32, status: u32) {
    // A descriptor outside RAM, or across two words, has no status.
    let _ = ram.store(status, field(descriptor, DESC_STATUS), Ordering::Release);
}

fn field(descriptor: u32, offset: u32) -> GuestAddress {
    GuestAddress(u64::from(descriptor) + u64::from(offset))
}

/// A descriptor's contents. The guest may change them at any time, so each field is read once.
struct Request {
    op: u32,
    sector: u32,
    buffer: u32,
}

impl Request {
    fn read(ram: &Ram, descriptor: u32) -> std::result::Result<Self, GuestMemoryError> {
        let word = |offset| ram.load(field(descriptor, offset), Ordering::Relaxed);
        Ok(Request { op: word(DESC_OP)?, sector: word(DESC_SECTOR)?, buffer: word(DESC_BUFFER)? })
    }
}

/// The disk, owned by the I/O thread.
pub(crate) struct Disk {
    pub(crate) ram: Ram,
    pub(crate) file: Option<File>,
    pub(crate) sectors: u32,
    pub(crate) queue: Arc<Mutex<Queue>>,
    pub(crate) counts: Arc<Counts>,
    /// Since when something is written and not flushed.
    pub(crate) dirty_since: Option<Instant>,
}

impl Disk {
    /// Does what the guests have asked for.
    pub(crate) fn process(&mut self) {
        loop {
            let next = self.queue.lock().expect("the queue's users do not panic").pop();
            let Some(descriptor) = next else { break };
            self.counts.requests.count();
            if self.handle(descriptor).is_some() {
                complete(&self.ram, descriptor, BLOCK_OK);
            } else {
                fail(&self.ram, descriptor, &self.counts);
            }
        }
    }

    /// None if the request failed.
    fn handle(&mut self, descriptor: u32) -> Option<()> {
        let request = Request::read(&self.ram, descriptor).ok()?;
        let file = self.file.as_ref().filter(|_| request.sector < self.sectors)?;
        let offset = u64::from(request.sector) * u64::from(SECTOR_SIZE);
        let buffer = GuestAddress(request.buffer.into());
        let mut sector = [0; SECTOR_SIZE as usize];
        match request.op {
            BLOCK_OP_READ => {
                file.read_exact_at(&mut sector, offset).ok()?;
                self.ram.write_slice(&sector, buffer).ok()
            }
            BLOCK_OP_WRITE => {
                self.ram.read_slice(&mut sector, buffer).ok()?;
                self.dirty_since.get_or_insert_with(Instant::now);
                file.write_all_at(&sector, offset).ok()
            }
            _ => None,
        }
    }

    /// How long until written data must be flushed, if there are any.
    pub(crate) fn flush_delay(&self) -> Option<Duration> {
        self.dirty_since.map(|since| (since + FLUSH_INTERVAL).saturating_duration_since(Instant::now()))
    }

    /// Flushes what was written.
    pub(crate) fn flush(&mut self) {
        if self.dirty_since.take().is_none() {
            return;
        }
        let file = self.file.as_ref().expect("only a disk gets dirty");
        if let Err(error) = file.sync_data() {
            complain(format_args!("cannot flush the disk: {error}"));
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.flush();
    }
}
