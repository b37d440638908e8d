//! Port bus: which device owns a port. Devices are added before the vCPUs start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A device's ports. Offsets are relative to the device's range; data are little endian, of 1, 2 or 4 bytes.
pub(crate) trait PortDevice: Send {
    /// The guest reads. The data are all ones before.
    fn read(&mut self, offset: u16, data: &mut [u8]);

    /// The guest writes.
    fn write(&mut self, offset: u16, data: &[u8]);
}

struct Range {
    length: u16,
    device: Arc<Mutex<dyn PortDevice>>,
}

/// The devices by their first port.
#[derive(Default)]
pub(crate) struct PortBus {
    ranges: BTreeMap<u16, Range>,
}

impl PortBus {
    /// Gives `length` ports from `base` on to a device.
    pub(crate) fn add(&mut self, base: u32, length: u16, device: Arc<Mutex<dyn PortDevice>>) {
        let base = u16::try_from(base).expect("ports have 16 bits");
        let taken = self.find(base).is_some() || self.find(base + (length - 1)).is_some();
        assert!(!taken, "two devices want the ports {base:#x} to {:#x}", base + (length - 1));
        self.ranges.insert(base, Range { length, device });
    }

    fn find(&self, port: u16) -> Option<(&Mutex<dyn PortDevice>, u16)> {
        let (base, range) = self.ranges.range(..=port).next_back()?;
        let offset = port - base;
        (offset < range.length).then_some((&*range.device, offset))
    }

    /// As on a PC, an unassigned port reads as all ones.
    pub(crate) fn read(&self, port: u16, data: &mut [u8]) {
        data.fill(0xff);
        if let Some((device, offset)) = self.find(port) {
            device.lock().expect("no device panics").read(offset, data);
        }
    }

    /// As on a PC, an unassigned port swallows writes.
    pub(crate) fn write(&self, port: u16, data: &[u8]) {
        if let Some((device, offset)) = self.find(port) {
            device.lock().expect("no device panics").write(offset, data);
        }
    }
}

/// What the guest wrote, as a number.
pub(crate) fn number(data: &[u8]) -> u32 {
    let mut bytes = [0; 4];
    let used = data.len().min(bytes.len());
    bytes[..used].copy_from_slice(&data[..used]);
    u32::from_le_bytes(bytes)
}

/// Answers a read with a number; bytes that the guest does not ask for are dropped.
pub(crate) fn answer(data: &mut [u8], value: impl Into<u32>) {
    for (byte, value) in data.iter_mut().zip(value.into().to_le_bytes()) {
        *byte = value;
    }
}
