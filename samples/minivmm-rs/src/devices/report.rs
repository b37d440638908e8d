//! Report port: the guest's own verdicts, counted for the status line.

use crate::bus::{PortDevice, number};
use crate::counter::Counter;
use crate::guest::REPORT_KINDS;
use std::sync::Arc;

/// How often the guest has reported each kind.
pub(crate) type Verdicts = [Counter; REPORT_KINDS as usize];

/// The device.
pub(crate) struct Report {
    verdicts: Arc<Verdicts>,
}

impl Report {
    pub(crate) fn new(verdicts: Arc<Verdicts>) -> Self {
        Report { verdicts }
    }
}

impl PortDevice for Report {
    fn read(&mut self, _offset: u16, _data: &mut [u8]) {}

    fn write(&mut self, _offset: u16, data: &[u8]) {
        if let Some(counter) = self.verdicts.get(number(data) as usize) {
            counter.count();
        }
    }
}
