//! A vCPU thread: run the guest, handle its exit, again.

use crate::accel::{Exit, VcpuBackend};
use crate::bus::PortBus;
use crate::counter::Counter;
use crate::error::{Error, Result};
use crate::guest::PORT_YIELD;
use crate::stop::Stop;
use crate::{complain, seccomp, trace};
use seccompiler::BpfProgram;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use vmm_sys_util::signal::{Killable as _, SIGRTMIN, register_signal_handler};

/// A kicked vCPU stops at once; more is for machines under load.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// What the rest of the machine knows of a vCPU.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Port accesses handled.
    pub(crate) exits: Counter,
    /// Runs ended by a signal or a debugger, and resumed.
    pub(crate) interrupted: Counter,
}

/// A vCPU on its way to its thread.
pub(crate) struct Vcpu {
    pub(crate) index: u8,
    pub(crate) backend: Box<dyn VcpuBackend>,
    pub(crate) bus: Arc<PortBus>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) pace: Duration,
    pub(crate) filter: Arc<BpfProgram>,
}

/// A vCPU in its thread.
pub(crate) struct Running {
    index: u8,
    thread: JoinHandle<()>,
}

impl Vcpu {
    /// Starts the thread.
    pub(crate) fn start(self) -> Result<Running> {
        let index = self.index;
        let name = format!("vcpu{index}");
        let thread = std::thread::Builder::new().name(name.clone()).spawn(move || self.main());
        Ok(Running { index, thread: thread.map_err(|error| Error::Thread(name, error))? })
    }

    fn main(mut self) {
        seccomp::apply(&self.filter);
        while !self.stop.requested() {
            if let Err(fault) = self.step() {
                complain(format_args!("vCPU {}: {fault}; last ports:{}", self.index, trace::Recent));
                self.stop.request(1);
            }
        }
    }

    fn step(&mut self) -> std::result::Result<(), String> {
        match self.backend.run()? {
            Exit::Out { port, .. } if u32::from(port) == PORT_YIELD => {
                self.counts.exits.count();
                pace(self.pace);
            }
            Exit::Out { port, data } => {
                self.counts.exits.count();
                trace::record(port, true);
                self.bus.write(port, data);
            }
            Exit::In { port, data } => {
                self.counts.exits.count();
                trace::record(port, false);
                self.bus.read(port, data);
            }
            Exit::Interrupted => self.counts.interrupted.count(),
            Exit::Slice => {}
        }
        Ok(())
    }
}

/// Gives the host's processors to others for a while; the guest asked for it.
fn pace(time: Duration) {
    if !time.is_zero() {
        std::thread::sleep(time);
    }
}

impl Running {
    /// Waits for the thread's end after a request to stop.
    pub(crate) fn join(self) -> Result<()> {
        let deadline = Instant::now() + STOP_GRACE;
        while !self.thread.is_finished() {
            if Instant::now() > deadline {
                return Err(Error::Stuck(format!("vCPU {}", self.index)));
            }
            // The signal may come just before KVM_RUN, so it is sent until the thread has ended.
            let _ = self.thread.kill(SIGRTMIN());
            std::thread::sleep(Duration::from_millis(1));
        }
        self.thread.join().map_err(|_| Error::Stuck(format!("vCPU {}", self.index)))
    }
}

extern "C" fn kicked(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}

/// Has the signal that kicks vCPUs out of their guests interrupt system calls and do nothing else.
pub(crate) fn handle_kicks() -> Result<()> {
    register_signal_handler(SIGRTMIN(), kicked).map_err(Error::Signal)
}
