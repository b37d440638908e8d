//! The status: one JSON document.

use crate::guest::{
    REPORT_DISK_MISMATCH, REPORT_DISK_VERIFIED, REPORT_IDENTITY_CHANGED, REPORT_PROBE_LEAK,
    REPORT_PROBE_REFUSED, REPORT_TIMER_BACKWARDS,
};
use crate::machine::Machine;
use crate::memory::guest_count;
use serde::Serialize;

#[derive(Serialize)]
struct Cpu {
    count: u32,
    exits: u64,
    eintr: u64,
}

/// What the control socket answers to "status"; the README tells the meaning of each field.
#[derive(Serialize)]
pub(crate) struct Status<'a> {
    version: &'static str,
    build_id: &'a str,
    accel: &'static str,
    cpus: Vec<Cpu>,
    uptime_ms: u64,
    serial_lines: u64,
    blk_requests: u64,
    blk_errors: u64,
    epoll_eintr: u64,
    fds: usize,
    probe_leaks: u64,
    probe_refused: u64,
    disk_verified: u64,
    disk_mismatch: u64,
    timer_backwards: u64,
    identity_changed: u64,
}

impl<'a> Status<'a> {
    pub(crate) fn of(machine: &'a Machine) -> Self {
        let verdict = |kind: u32| machine.verdicts[kind as usize].get();
        let cpus = (0..).zip(&machine.vcpu_counts).map(|(index, counts)| Cpu {
            count: guest_count(&machine.ram, index),
            exits: counts.exits.get(),
            eintr: counts.interrupted.get(),
        });
        Status {
            version: env!("CARGO_PKG_VERSION"),
            build_id: &machine.build_id,
            accel: machine.accelerator.name(),
            cpus: cpus.collect(),
            uptime_ms: machine.started.elapsed().as_millis() as u64,
            serial_lines: machine.serial_lines.get(),
            blk_requests: machine.disk_counts.requests.get(),
            blk_errors: machine.disk_counts.errors.get(),
            epoll_eintr: machine.epoll_interrupted.get(),
            fds: open_files(),
            probe_leaks: verdict(REPORT_PROBE_LEAK),
            probe_refused: verdict(REPORT_PROBE_REFUSED),
            disk_verified: verdict(REPORT_DISK_VERIFIED),
            disk_mismatch: verdict(REPORT_DISK_MISMATCH),
            timer_backwards: verdict(REPORT_TIMER_BACKWARDS),
            identity_changed: verdict(REPORT_IDENTITY_CHANGED),
        }
    }
}

/// Open file descriptors, less the one that this takes.
fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1))
}
