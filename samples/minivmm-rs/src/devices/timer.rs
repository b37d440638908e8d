//! Timer: microseconds since the machine started, never going back.

use crate::bus::{PortDevice, answer};
use crate::guest::{TIMER_HIGH, TIMER_LOW};
use std::time::Instant;

/// The device.
pub(crate) struct Timer {
    started: Instant,
}

impl Timer {
    pub(crate) fn new(started: Instant) -> Self {
        Timer { started }
    }
}

impl PortDevice for Timer {
    fn read(&mut self, offset: u16, data: &mut [u8]) {
        let ticks = self.started.elapsed().as_micros() as u64;
        match offset.into() {
            TIMER_LOW => answer(data, ticks as u32),
            TIMER_HIGH => answer(data, (ticks >> 32) as u32),
            _ => {}
        }
    }

    fn write(&mut self, _offset: u16, _data: &[u8]) {}
}
