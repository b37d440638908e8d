//! Serial port: bytes from the guest become lines in a file.

use crate::bus::{PortDevice, answer};
use crate::complain;
use crate::counter::Counter;
use crate::error::{Error, Result};
use crate::guest::{SERIAL_LSR, SERIAL_LSR_READY};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

/// How much of a line is kept before it is written out.
const LINE_MAX: usize = 256;

/// The device.
pub(crate) struct Serial {
    output: Box<dyn Write + Send>,
    line: Vec<u8>,
    lines: Arc<Counter>,
    write_failed: bool,
}

impl Serial {
    /// Writes to a file, or else to standard output.
    pub(crate) fn new(path: Option<&Path>, lines: Arc<Counter>) -> Result<Self> {
        let output: Box<dyn Write + Send> = match path {
            None => Box::new(io::stdout()),
            Some(path) => {
                // Appended to, so that who empties the log while it grows finds the next line at its start.
                let mut options = OpenOptions::new();
                let opened = options.append(true).create(true).custom_flags(libc::O_TRUNC).open(path);
                Box::new(opened.map_err(Error::file("open", path))?)
            }
        };
        Ok(Serial { output, line: Vec::with_capacity(LINE_MAX), lines, write_failed: false })
    }

    fn put(&mut self, byte: u8) {
        self.line.push(byte);
        if byte == b'\n' {
            self.lines.count();
        }
        if byte == b'\n' || self.line.len() == LINE_MAX {
            self.write_out();
        }
    }

    /// A full disk must not stop the guest: the failure is reported once, output is dropped.
    fn write_out(&mut self) {
        let written = self.output.write_all(&self.line).and_then(|()| self.output.flush());
        self.line.clear();
        match written {
            Err(error) if !self.write_failed => {
                self.write_failed = true;
                complain(format_args!("cannot write serial output: {error}"));
            }
            _ => {}
        }
    }
}

impl PortDevice for Serial {
    fn read(&mut self, offset: u16, data: &mut [u8]) {
        answer(data, if u32::from(offset) == SERIAL_LSR { SERIAL_LSR_READY } else { 0 });
    }

    fn write(&mut self, offset: u16, data: &[u8]) {
        if let (0, [byte, ..]) = (offset, data) {
            self.put(*byte);
        }
    }
}

impl Drop for Serial {
    fn drop(&mut self) {
        self.write_out();
    }
}
