//! minivmm-rs: a small virtual machine monitor to hot-patch, built and structured as Firecracker and Cloud Hypervisor
//! are.
//!
//! Threads: one for each vCPU, one for device I/O, each behind a seccomp filter of its own, and the main thread, which
//! serves the control socket. A vCPU thread leaves the guest for every port access and calls the device model that
//! owns the port.

mod accel;
mod bus;
mod config;
mod control;
mod counter;
mod devices;
mod error;
mod guest;
mod io_thread;
mod machine;
mod memory;
mod note;
mod seccomp;
mod status;
mod stop;
mod trace;
mod vcpu;

use crate::config::{Config, Parsed, USAGE};
use crate::error::Result;
use crate::machine::Machine;
use std::process::ExitCode;

const STATUS_FAILED: u8 = 1;
const STATUS_USAGE: u8 = 2;

/// Tells something on standard error.
pub(crate) fn complain(what: impl std::fmt::Display) {
    eprintln!("minivmm-rs: {what}");
}

fn main() -> ExitCode {
    let config = match config::parse(std::env::args().skip(1)) {
        Parsed::Run(config) => config,
        Parsed::Help => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Parsed::Wrong(what) => {
            complain(what);
            eprint!("{USAGE}");
            return ExitCode::from(STATUS_USAGE);
        }
    };
    run(config).unwrap_or_else(|error| {
        complain(error);
        ExitCode::from(STATUS_FAILED)
    })
}

fn run(config: Config) -> Result<ExitCode> {
    let mut machine = Machine::new(config)?;
    if let Err(error) = machine.start().and_then(|()| control::serve(&machine)) {
        complain(error);
        machine.stop().request(STATUS_FAILED);
    }
    machine.finish().map(ExitCode::from)
}
