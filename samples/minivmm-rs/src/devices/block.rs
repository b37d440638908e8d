//! Block device, the side that the guest sees: it writes a descriptor's address to the doorbell, and the I/O thread
//! does the rest.

use crate::bus::{PortDevice, answer, number};
use crate::complain;
use crate::devices::disk::{Counts, Queue, fail};
use crate::guest::{
    BLOCK_CAPACITY, BLOCK_CONFIG_DATA, BLOCK_CONFIG_INDEX, BLOCK_DOORBELL, BLOCK_IDENTITY_LEN,
};
use crate::memory::Ram;
use std::sync::{Arc, Mutex};
use vmm_sys_util::eventfd::EventFd;

const TOKEN_LEN: usize = 16;
const RECORD_LEN: usize = BLOCK_IDENTITY_LEN as usize + TOKEN_LEN;

/// The identity, which the guest may read, and behind it the credential of the host's storage, which it may not.
const RECORD: &[u8; RECORD_LEN] = b"MINIVMM-DISK-000001\0S3CR3T-T0KEN\0\0\0\0";

/// The device.
pub(crate) struct BlockDevice {
    ram: Ram,
    /// As the storage backend hands it over.
    record: [u8; RECORD_LEN],
    config_index: u8,
    sectors: u32,
    queue: Arc<Mutex<Queue>>,
    doorbell: Arc<EventFd>,
    counts: Arc<Counts>,
}

impl BlockDevice {
    /// `sectors` is 0 without a disk.
    pub(crate) fn new(
        ram: Ram,
        sectors: u32,
        queue: Arc<Mutex<Queue>>,
        doorbell: Arc<EventFd>,
        counts: Arc<Counts>,
    ) -> Self {
        BlockDevice { ram, record: *RECORD, config_index: 0, sectors, queue, doorbell, counts }
    }

    /// The byte of the identity that the guest selected before.
    fn config_byte(&self) -> u8 {
        self.record.get(usize::from(self.config_index)).copied().unwrap_or(0xff)
    }

    fn ring(&mut self, descriptor: u32) {
        let queued = self.queue.lock().expect("the queue's users do not panic").push(descriptor);
        if !queued {
            fail(&self.ram, descriptor, &self.counts);
            return;
        }
        if let Err(error) = self.doorbell.write(1) {
            complain(format_args!("cannot ring the doorbell: {error}"));
        }
    }
}

impl PortDevice for BlockDevice {
    fn read(&mut self, offset: u16, data: &mut [u8]) {
        match offset.into() {
            BLOCK_CONFIG_INDEX => answer(data, self.config_index),
            BLOCK_CONFIG_DATA => answer(data, self.config_byte()),
            BLOCK_CAPACITY => answer(data, self.sectors),
            _ => {}
        }
    }

    fn write(&mut self, offset: u16, data: &[u8]) {
        match offset.into() {
            BLOCK_DOORBELL => self.ring(number(data)),
            BLOCK_CONFIG_INDEX => self.config_index = number(data) as u8,
            _ => {}
        }
    }
}
