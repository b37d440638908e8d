//! Stopping all threads of a process, and letting them go.
//!
//! Threads are seized, never attached: no SIGSTOP is sent, and stops of the target's own stay as they are
//! (ptrace(2), "Attaching and detaching"). PTRACE_O_EXITKILL is never set: if the loader dies, the kernel
//! detaches it and the target runs on.

use crate::error::{LoaderError, Result};
use crate::memory::RemoteMemory;
use crate::process::Process;
use crate::restart::Repairs;
use crate::sys::{self, Resume, Ticker, Wait};
use libc::user_regs_struct;
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::unistd::Pid;
use std::collections::{HashMap, HashSet};
use std::io;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

/// How long a thread may take to stop. One that waits uninterruptibly (vfork(2), a frozen cgroup of version
/// 1) does not stop, and the others must not wait for it.
const STOP_PATIENCE: Duration = Duration::from_millis(100);
/// How often a wait looks at the clock.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// What a task is to the loader; found out before the stop, since it costs a file read each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TaskKind {
    /// Runs user code.
    Thread,
    /// A kernel-made worker, or a dead leader of live threads: never runs user code.
    KernelOnly,
}

/// What is known about the tasks of a process.
#[derive(Debug, Default)]
pub struct TaskKinds(HashMap<Pid, TaskKind>);

impl TaskKinds {
    /// Looks at all tasks that are not known yet.
    pub fn learn(&mut self, process: &Process) -> Result<()> {
        for tid in process.tasks().map_err(|error| process.explain("listing threads", error))? {
            self.kind(process, tid);
        }
        Ok(())
    }

    /// How many tasks are known.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if no task is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn kind(&mut self, process: &Process, tid: Pid) -> TaskKind {
        *self.0.entry(tid).or_insert_with(|| match process.task_stat(tid) {
            Ok(stat) if stat.user_worker => TaskKind::KernelOnly,
            _ => TaskKind::Thread,
        })
    }
}

/// A thread that does not run now.
pub struct StoppedThread {
    /// Its number.
    pub tid: Pid,
    /// Its registers.
    pub regs: user_regs_struct,
    /// The signal that was on its way to the thread, 0 for none.
    pub(crate) signal: i32,
    interrupted: Instant,
}

/// All threads of a process, stopped. Dropping it lets them go.
pub struct ThreadStop<'a> {
    process: &'a Process,
    memory: &'a RemoteMemory,
    threads: Vec<StoppedThread>,
    /// Seized, but not seen stopped.
    waited_for: Vec<(Pid, Instant)>,
    begin: Instant,
    repairs: Repairs,
    /// The kernel binds tracees to the thread that seized them.
    _not_send: PhantomData<*const ()>,
}

/// How long the threads were stopped.
#[derive(Clone, Copy, Debug, Default)]
pub struct StopTimes {
    /// From the first request to stop until the last thread was let go.
    pub total: Duration,
    /// The longest that a single thread was affected.
    pub max_thread: Duration,
    /// How many threads there were.
    pub threads: usize,
}

impl<'a> ThreadStop<'a> {
    /// Stops all threads of `process`. Requests go out to all before any thread is waited for.
    pub fn stop_all(process: &'a Process, memory: &'a RemoteMemory, kinds: &mut TaskKinds) -> Result<Self> {
        let mut stop = ThreadStop {
            process,
            memory,
            threads: Vec::with_capacity(kinds.len()),
            waited_for: Vec::with_capacity(kinds.len()),
            begin: Instant::now(),
            repairs: Repairs::default(),
            _not_send: PhantomData,
        };
        let list = || process.tasks().map_err(|error| process.explain("listing threads", error));
        let mut tids = list()?;
        let mut kernel_only = 0;
        loop {
            let watched = stop.threads.iter().map(|thread| thread.tid).chain(tids.iter().copied()).collect();
            let ticker =
                Ticker::start(TICK, watched).map_err(|error| process.explain("starting a timer", error))?;
            for tid in tids {
                if kinds.kind(process, tid) == TaskKind::KernelOnly {
                    kernel_only += 1;
                } else if seize(process, tid, ptrace::Options::PTRACE_O_TRACECLONE, &ticker)? {
                    stop.waited_for.push((tid, Instant::now()));
                } else {
                    kinds.0.remove(&tid);
                }
            }
            if stop.threads.is_empty() {
                stop.begin = Instant::now();
            }
            for (tid, interrupted) in &mut stop.waited_for {
                *interrupted = Instant::now();
                match ptrace::interrupt(*tid) {
                    // The wait says that it is gone.
                    Ok(()) | Err(Errno::ESRCH) => {}
                    Err(errno) => return Err(LoaderError::system(*tid, "interrupting", errno.into())),
                }
            }
            stop.await_all()?;
            // Threads of threads that were not seized yet when they made them.
            if process.task_count().ok() == Some((stop.threads.len() + kernel_only) as u64) {
                break;
            }
            let now = list()?;
            stop.let_go_unlisted(&now);
            let held: HashSet<Pid> = stop.threads.iter().map(|thread| thread.tid).collect();
            tids = now.into_iter().filter(|tid| !held.contains(tid) && is_alive(process, *tid)).collect();
            tids.retain(|tid| kinds.kind(process, *tid) == TaskKind::Thread);
            if tids.is_empty() {
                break;
            }
        }
        if stop.threads.is_empty() {
            return Err(LoaderError::ProcessEnded(process.pid()));
        }
        Ok(stop)
    }

    /// The threads, in the order in which they stopped.
    pub fn threads(&self) -> &[StoppedThread] {
        &self.threads
    }

    /// Lets the threads go in the order in which they were stopped.
    pub fn release(mut self) -> StopTimes {
        self.release_all()
    }

    fn await_all(&mut self) -> Result<()> {
        let deadline = Instant::now() + STOP_PATIENCE;
        let mut next = 0;
        while let Some(&(tid, interrupted)) = self.waited_for.get(next) {
            let outcome = sys::wait(tid, true)
                .map_err(|error| LoaderError::system(tid, "waiting for a thread", error))?;
            match outcome {
                Wait::Gone => {}
                Wait::NotYet if !is_alive(self.process, tid) => {}
                Wait::NotYet if Instant::now() < deadline => continue,
                Wait::NotYet => {
                    self.waited_for.drain(..next);
                    return Err(self.does_not_stop(tid));
                }
                Wait::Stopped { signal, event } => {
                    if event == libc::PTRACE_EVENT_CLONE
                        && let Ok(child) = ptrace::getevent(tid)
                    {
                        self.waited_for.push((Pid::from_raw(child as i32), Instant::now()));
                    }
                    match self.repairs.read_and_repair(tid, self.process, self.memory) {
                        Ok(regs) => {
                            let signal = if event == 0 { signal } else { 0 };
                            self.threads.push(StoppedThread { tid, regs, signal, interrupted });
                        }
                        Err(Errno::ESRCH) => {}
                        Err(errno) => {
                            return Err(LoaderError::system(tid, "reading registers", errno.into()));
                        }
                    }
                }
            }
            next += 1;
        }
        self.waited_for.clear();
        Ok(())
    }

    fn does_not_stop(&self, tid: Pid) -> LoaderError {
        let state = self.process.task_stat(tid).map_or('?', |stat| char::from(stat.state));
        LoaderError::DoesNotStop { pid: self.process.pid(), tid, state }
    }

    /// A thread may end before it is seized, and its number go to another process.
    fn let_go_unlisted(&mut self, listed: &[Pid]) {
        let listed: HashSet<&Pid> = listed.iter().collect();
        self.threads.retain(|thread| {
            let ours = listed.contains(&thread.tid);
            if !ours {
                detach(thread.tid, thread.signal);
            }
            ours
        });
    }

    fn release_all(&mut self) -> StopTimes {
        let mut times = StopTimes { threads: self.threads.len(), ..StopTimes::default() };
        for thread in self.threads.drain(..) {
            detach(thread.tid, thread.signal);
            times.max_thread = times.max_thread.max(thread.interrupted.elapsed());
        }
        times.total = self.begin.elapsed();
        for (tid, _) in self.waited_for.drain(..) {
            abandon(tid);
        }
        times
    }
}

impl Drop for ThreadStop<'_> {
    fn drop(&mut self) {
        self.release_all();
    }
}

/// Seizes one thread. False if it has ended. The ticker ends what would wait for ever if the target calls
/// execve(2) and this loader holds one of its threads.
pub(crate) fn seize(process: &Process, tid: Pid, options: ptrace::Options, _: &Ticker) -> Result<bool> {
    let deadline = Instant::now() + STOP_PATIENCE;
    loop {
        match ptrace::seize(tid, options) {
            Ok(()) => return Ok(true),
            Err(Errno::ESRCH) => return Ok(false),
            Err(Errno::EPERM) => {}
            Err(errno) => return Err(LoaderError::system(tid, "seizing", errno.into())),
        }
        let Ok(status) = process.task_status(tid) else { return Ok(false) };
        if !is_alive(process, tid) {
            return Ok(false);
        }
        if status.tracer == nix::unistd::gettid().as_raw() {
            // Seized by an attempt that gave up waiting for it.
            return Ok(true);
        }
        // A tracer that was killed lets go of its last thread a little later than of its lock.
        let lasting = !is_ending(status.tracer) || Instant::now() >= deadline;
        if status.tracer != 0 && lasting {
            return Err(LoaderError::Traced { pid: process.pid(), tracer: status.tracer });
        }
        if Instant::now() >= deadline {
            return Err(LoaderError::NoPermission(process.pid()));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// True if a process is dead, or on its way there.
pub(crate) fn is_ending(pid: i32) -> bool {
    /// `PF_EXITING` of the kernel's `include/linux/sched.h`.
    const PF_EXITING: u64 = 4;
    let Ok(text) = std::fs::read(format!("/proc/{pid}/stat")) else { return true };
    crate::process::task_flags(&text).is_none_or(|flags| flags & PF_EXITING != 0)
}

/// Stops one seized thread. None if it ended; an error of kind `TimedOut` if it does not stop.
pub(crate) fn interrupt(tid: Pid, _: &Ticker) -> io::Result<Option<(i32, i32)>> {
    match ptrace::interrupt(tid) {
        Ok(()) => {}
        Err(Errno::ESRCH) => {
            reap(tid);
            return Ok(None);
        }
        Err(errno) => return Err(errno.into()),
    }
    let deadline = Instant::now() + STOP_PATIENCE;
    loop {
        match sys::wait(tid, true)? {
            Wait::Gone => return Ok(None),
            Wait::Stopped { signal, event } => return Ok(Some((signal, event))),
            Wait::NotYet if Instant::now() >= deadline => return Err(io::ErrorKind::TimedOut.into()),
            Wait::NotYet => {}
        }
    }
}

/// Gives up on a seized thread: lets it go if it stops soon. Otherwise it stays seized; the next attempt or the
/// end of the loader takes care of it.
pub(crate) fn abandon(tid: Pid) {
    // It may not have been asked yet.
    let _ = ptrace::interrupt(tid);
    let deadline = Instant::now() + TICK;
    while Instant::now() < deadline {
        match sys::wait(tid, false) {
            Ok(Wait::Stopped { signal, event }) => {
                let _ = sys::resume(tid, Resume::Detach, if event == 0 { signal } else { 0 });
                return;
            }
            Ok(Wait::NotYet) => std::thread::sleep(Duration::from_millis(1)),
            Ok(Wait::Gone) | Err(_) => return,
        }
    }
}

/// Detaches, delivering `signal` unless it is 0. A thread that was killed needs no detaching.
pub(crate) fn detach(tid: Pid, signal: i32) {
    if sys::resume(tid, Resume::Detach, signal).is_err() {
        reap(tid);
    }
}

/// Takes note of the end of a seized thread that was killed. execve(2) waits for that while it holds a lock which
/// PTRACE_SEIZE of the next thread needs.
fn reap(tid: Pid) {
    let _ = sys::wait(tid, false);
}

fn is_alive(process: &Process, tid: Pid) -> bool {
    process.task_stat(tid).is_ok_and(|stat| !matches!(stat.state, b'Z' | b'X'))
}
