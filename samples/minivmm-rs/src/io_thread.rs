//! The I/O thread: waits for doorbells and for the time to flush.

use crate::counter::Counter;
use crate::devices::disk::Disk;
use crate::error::{Error, Result};
use crate::stop::Stop;
use crate::{complain, seccomp};
use event_manager::{EventManager, EventOps, EventSet, Events, MutEventSubscriber, SubscriberOps as _};
use seccompiler::BpfProgram;
use std::os::fd::AsRawFd as _;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use vmm_sys_util::eventfd::EventFd;

/// Hands doorbells on to the disk.
struct Doorbell {
    event: Arc<EventFd>,
    disk: Arc<Mutex<Disk>>,
}

impl MutEventSubscriber for Doorbell {
    fn init(&mut self, ops: &mut EventOps) {
        watch(ops, &Events::new(&*self.event, EventSet::IN));
    }

    fn process(&mut self, _events: Events, _ops: &mut EventOps) {
        if let Err(error) = self.event.read() {
            complain(format_args!("cannot read the doorbell: {error}"));
        }
        self.disk.lock().expect("only this thread uses it").process();
    }
}

/// Wakes the thread when the machine is to stop.
struct StopWatch(Arc<Stop>);

impl MutEventSubscriber for StopWatch {
    fn init(&mut self, ops: &mut EventOps) {
        watch(ops, &Events::new_raw(self.0.as_raw_fd(), EventSet::IN));
    }

    fn process(&mut self, _events: Events, _ops: &mut EventOps) {}
}

fn watch(ops: &mut EventOps, events: &Events) {
    ops.add(*events).expect("an eventfd can be watched");
}

/// What the thread works with.
pub(crate) struct IoThread {
    events: EventManager<Box<dyn MutEventSubscriber + Send>>,
    disk: Arc<Mutex<Disk>>,
    stop: Arc<Stop>,
    interrupted: Arc<Counter>,
}

impl IoThread {
    /// `interrupted` counts the waits that ended before their time without an event.
    pub(crate) fn new(
        disk: Disk,
        doorbell: Arc<EventFd>,
        stop: Arc<Stop>,
        interrupted: Arc<Counter>,
    ) -> Result<Self> {
        let disk = Arc::new(Mutex::new(disk));
        let mut events = EventManager::<Box<dyn MutEventSubscriber + Send>>::new()?;
        events.add_subscriber(Box::new(Doorbell { event: doorbell, disk: disk.clone() }));
        events.add_subscriber(Box::new(StopWatch(stop.clone())));
        Ok(IoThread { events, disk, stop, interrupted })
    }

    /// Starts the thread.
    pub(crate) fn start(mut self, filter: Arc<BpfProgram>) -> Result<JoinHandle<()>> {
        let main = move || {
            seccomp::apply(&filter);
            while !self.stop.requested() {
                if let Err(error) = self.turn() {
                    complain(error);
                    self.stop.request(1);
                }
            }
        };
        let thread = std::thread::Builder::new().name("io".into()).spawn(main);
        thread.map_err(|error| Error::Thread("io".into(), error))
    }

    /// One wait. epoll_wait ends early when a debugger or SIGSTOP stopped the thread, even without a handler:
    /// signal(7). The flush time is absolute, so an interruption does not move it.
    fn turn(&mut self) -> Result<()> {
        let delay = self.disk.lock().expect("only this thread uses it").flush_delay();
        if delay == Some(Duration::ZERO) {
            self.disk.lock().expect("only this thread uses it").flush();
            return Ok(());
        }
        let due = delay.map(|delay| Instant::now() + delay);
        let milliseconds = delay.map_or(-1, |delay| delay.as_micros().div_ceil(1000) as i32);
        let events = self.events.run_with_timeout(milliseconds)?;
        if events == 0 && due.is_none_or(|due| Instant::now() < due) {
            self.interrupted.count();
        }
        Ok(())
    }
}
