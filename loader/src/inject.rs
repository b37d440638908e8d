//! System calls made by a thread of the target on the loader's behalf.
//!
//! One thread is stopped for it, the others run on. Before the thread is set going, everything that leads it
//! back to where it was stands in its own memory (see [`crate::sigframe`] and [`crate::slack`]), so that the
//! loader may die at any instant. On the usual way the loader restores the thread itself, at a stop inside the
//! kernel's signal code, where an interrupted system call is restarted as after any other stop.

use crate::address::{AddressRange, RuntimeAddr};
use crate::error::{LoaderError, Result};
use crate::maps::MemoryMap;
use crate::memory::RemoteMemory;
use crate::process::Process;
use crate::restart::{self, Call, Repairs};
use crate::sigframe::{self, SignalFrame};
use crate::slack::Slack;
use crate::sys::{self, Resume, Ticker, Wait};
use crate::threads::{TICK, abandon, detach, interrupt, seize};
use libc::user_regs_struct;
use nix::sys::ptrace;
use nix::unistd::Pid;
use std::io;
use std::time::{Duration, Instant};

/// Selector of 64-bit user code (`__USER_CS`).
const USER_CODE_64: u64 = 0x33;
/// Stop signal of system call stops under PTRACE_O_TRACESYSGOOD.
const SYSCALL_STOP: i32 = libc::SIGTRAP | 0x80;
/// How long to wait for one sleeping thread to come out of its system call by itself.
const SLICE: Duration = Duration::from_millis(50);
/// How long an injected call may take.
const CALL_PATIENCE: Duration = Duration::from_secs(2);

/// One system call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemCall {
    /// Its name, for messages.
    pub(crate) name: &'static str,
    /// Its number.
    pub(crate) number: libc::c_long,
    /// Its arguments.
    pub(crate) arguments: [u64; 6],
}

/// The threads of a process, one of which works for the loader.
#[derive(Clone, Copy)]
pub(crate) struct Workers<'a> {
    pub(crate) process: &'a Process,
    pub(crate) memory: &'a RemoteMemory,
    pub(crate) map: &'a MemoryMap,
}

/// Makes system calls inside a process.
pub(crate) struct Injector<'a> {
    pub(crate) workers: Workers<'a>,
    pub(crate) slack: Slack,
    pub(crate) deadline: Instant,
}

/// Why a thread is not used.
pub(crate) enum Unfit {
    /// It never can.
    Never(String),
    /// It cannot in its present state.
    Now(String),
    /// It sleeps in a call that the kernel would not find its way back to; at the call's end it can be used.
    Asleep,
}

impl Injector<'_> {
    /// Makes `calls` one after the other in one thread, up to the first one that fails. `mapping` is the one
    /// that they are about to make, for the next loader to find if this one dies; `mark` is called when they are
    /// made, before the slack is cleared. Returns how long the thread was stopped.
    pub(crate) fn run(
        &self,
        mapping: AddressRange,
        calls: &[SystemCall],
        mark: &dyn Fn() -> Result<()>,
    ) -> Result<Duration> {
        let pid = self.workers.process.pid();
        let mut reason = "it has none".to_owned();
        let mut transient;
        loop {
            transient = false;
            let mut asleep = Vec::new();
            let candidates = self.workers.candidates();
            let ticker = Ticker::start(TICK, candidates.clone())
                .map_err(|error| LoaderError::system(pid, "starting a timer", error))?;
            for tid in candidates {
                match self.try_thread(tid, mapping, calls, mark, None, &ticker)? {
                    Ok(stopped) => return Ok(stopped),
                    Err(Unfit::Never(why)) => reason = format!("thread {tid} {why}"),
                    Err(Unfit::Now(why)) => {
                        transient = true;
                        reason = format!("thread {tid} {why}");
                    }
                    Err(Unfit::Asleep) => asleep.push(tid),
                }
            }
            for tid in asleep {
                transient = true;
                reason = format!("thread {tid} sleeps in a system call and does not come out of it");
                if let Ok(stopped) = self.try_thread(tid, mapping, calls, mark, Some(SLICE), &ticker)? {
                    return Ok(stopped);
                }
            }
            if !transient || Instant::now() >= self.deadline || sys::cancelled() {
                return Err(LoaderError::NoInjectionThread { pid, reason, transient });
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Makes the calls in thread `tid` if it is fit for it. With `patience`, lets a sleeping thread go on until
    /// the end of its call first.
    fn try_thread(
        &self,
        tid: Pid,
        mapping: AddressRange,
        calls: &[SystemCall],
        mark: &dyn Fn() -> Result<()>,
        patience: Option<Duration>,
        ticker: &Ticker,
    ) -> Result<std::result::Result<Duration, Unfit>> {
        let held = self.workers.hold(tid, patience, sigframe::SPARE, ticker)?;
        let Held { mut thread, regs, mask, frame, begin } = match held {
            Ok(held) => held,
            Err(unfit) => return Ok(Err(unfit)),
        };
        let (process, memory) = (self.workers.process, self.workers.memory);

        // From here on something of the loader's is in the target: the marker first.
        self.slack.occupy(memory, mapping)?;
        if !self.slack.is_reached(memory) {
            self.slack.vacate(memory)?;
            return Err(LoaderError::AnotherProgram(process.pid()));
        }
        let outcome = memory.write(frame.address, &frame.bytes).and_then(|()| {
            thread.restore = Some((regs, mask));
            self.make_calls(&thread, calls, frame.stack_pointer)
        });
        let restored =
            thread.put_back().map_err(|error| LoaderError::system(tid, "restoring a thread", error));
        drop(thread);
        let stopped = begin.elapsed();
        // Nobody runs in the slack any more only if the thread was restored or is gone.
        if matches!(restored, Ok(()) | Err(LoaderError::ProcessEnded(_))) {
            mark()?;
            self.slack.vacate(memory)?;
        }
        outcome?;
        restored?;
        Ok(Ok(stopped))
    }

    fn make_calls(&self, held: &HeldThread<'_>, calls: &[SystemCall], stack_pointer: u64) -> Result<()> {
        let tid = held.tid;
        let failed = |what, error: io::Error| LoaderError::system(tid, what, error);
        for (index, call) in calls.iter().enumerate() {
            let [rdi, rsi, rdx, r10, r8, r9] = call.arguments;
            let Some((home, _)) = held.restore else { break };
            let regs = user_regs_struct {
                rax: call.number as u64,
                orig_rax: u64::MAX,
                rip: self.slack.code().0,
                rsp: stack_pointer,
                rdi,
                rsi,
                rdx,
                r10,
                r8,
                r9,
                ..home
            };
            ptrace::setregs(tid, regs).map_err(|errno| failed("setting registers", errno.into()))?;
            if index == 0 {
                // After the registers, so that a loader that dies between leaves no thread deaf: from now on
                // the frame brings the old mask back.
                sys::set_signal_mask(tid, u64::MAX)
                    .map_err(|error| failed("setting the signal mask", error))?;
            }
            let deadline = Instant::now() + CALL_PATIENCE;
            for _entry_then_exit in 0..2 {
                held.run_to_syscall_stop(deadline).map_err(|error| failed("making a system call", error))?;
            }
            let result =
                ptrace::getregs(tid).map_err(|errno| failed("reading registers", errno.into()))?.rax as i64;
            if (-4095..0).contains(&result) {
                let error = io::Error::from_raw_os_error(-result as i32);
                return Err(LoaderError::InjectedCall {
                    pid: self.workers.process.pid(),
                    call: call.name,
                    error,
                });
            }
            if call.number == libc::SYS_mmap && result as u64 != call.arguments[0] {
                // A kernel before 4.17 takes MAP_FIXED_NOREPLACE for a hint.
                let error = io::Error::from_raw_os_error(libc::EEXIST);
                return Err(LoaderError::InjectedCall {
                    pid: self.workers.process.pid(),
                    call: call.name,
                    error,
                });
            }
        }
        Ok(())
    }
}

impl<'a> Workers<'a> {
    /// The threads of the process, those that are disturbed least first.
    pub(crate) fn candidates(&self) -> Vec<Pid> {
        let mut tids = self.process.tasks().unwrap_or_default();
        tids.sort_by_cached_key(|tid| match self.process.blocked_call(*tid) {
            // Runs at the moment, or waits outside a system call.
            None | Some(crate::process::BlockedCall { number: -1, .. }) => 0,
            // Restarted by the kernel, not to be seen from outside.
            Some(call) if [libc::SYS_futex, libc::SYS_read, libc::SYS_ppoll].contains(&call.number) => 1,
            // Returns EINTR, which nothing repairs.
            Some(call) if call.number == libc::SYS_ioctl => 4,
            // Made again by the loader, with a timeout that starts again.
            Some(call) if restart::is_made_again(call.number) => 3,
            Some(_) => 2,
        });
        tids
    }

    /// Stops thread `tid` if it is fit, and makes its way home ready, with `spare` bytes of stack below it. With
    /// `patience`, lets a sleeping thread go on until the end of its call first.
    pub(crate) fn hold(
        &self,
        tid: Pid,
        patience: Option<Duration>,
        spare: u64,
        ticker: &'a Ticker,
    ) -> Result<std::result::Result<Held<'a>, Unfit>> {
        if let Err(unfit) = self.vet(tid) {
            return Ok(Err(unfit));
        }
        if !seize(self.process, tid, ptrace::Options::PTRACE_O_TRACESYSGOOD, ticker)? {
            return Ok(Err(Unfit::Now("has ended".to_owned())));
        }
        let begin = Instant::now();
        let stop = match interrupt(tid, ticker) {
            Ok(Some(stop)) => stop,
            Ok(None) => return Ok(Err(Unfit::Now("has ended".to_owned()))),
            Err(_) => {
                abandon(tid);
                return Ok(Err(Unfit::Now("does not stop".to_owned())));
            }
        };
        let mut held = HeldThread { tid, signal: 0, restore: None, ticker };
        if stop.1 != libc::PTRACE_EVENT_STOP {
            held.signal = if stop.1 == 0 { stop.0 } else { 0 };
            return Ok(Err(Unfit::Now("receives a signal".to_owned())));
        }
        let failed = |what, error: io::Error| LoaderError::system(tid, what, error);
        let mut repairs = Repairs::default();
        let mut read = || {
            repairs
                .read_and_repair(tid, self.process, self.memory)
                .map_err(|errno| failed("reading registers", errno.into()))
        };
        let mut regs = read()?;
        if let Some(patience) = patience
            && restart::call_state(&regs) == Call::RestartBlock
        {
            if !held.run_to_end_of_call(patience).map_err(|error| failed("waiting", error))? {
                return Ok(Err(Unfit::Asleep));
            }
            regs = read()?;
        }
        if let Err(unfit) = self.examine(tid, &regs) {
            return Ok(Err(unfit));
        }
        let Some(stack) = self.map.find(RuntimeAddr(regs.rsp)).filter(|stack| stack.write) else {
            return Ok(Err(Unfit::Now("has no stack".to_owned())));
        };
        let mask = sys::signal_mask(tid).map_err(|error| failed("reading the signal mask", error))?;
        let xstate = sys::xstate(tid).map_err(|error| failed("reading vector registers", error))?;
        let Some(frame) = sigframe::build(&regs, &xstate, mask, stack.range, spare) else {
            return Ok(Err(Unfit::Now("has too little room on its stack".to_owned())));
        };
        Ok(Ok(Held { thread: held, regs, mask, frame, begin }))
    }

    /// What can be told of a thread while it runs.
    fn vet(&self, tid: Pid) -> std::result::Result<(), Unfit> {
        let gone = |_| Unfit::Now("has ended".to_owned());
        let stat = self.process.task_stat(tid).map_err(gone)?;
        let status = self.process.task_status(tid).map_err(gone)?;
        if stat.user_worker {
            Err(Unfit::Never("runs in the kernel only".to_owned()))
        } else if matches!(stat.state, b'Z' | b'X') {
            Err(Unfit::Never("has ended".to_owned()))
        } else if status.seccomp != 0 {
            Err(Unfit::Never("has a seccomp filter".to_owned()))
        } else if status.shadow_stack {
            Err(Unfit::Never("uses a shadow stack".to_owned()))
        } else {
            Ok(())
        }
    }

    /// What can be told of a stopped thread from its registers.
    fn examine(&self, tid: Pid, regs: &user_regs_struct) -> std::result::Result<(), Unfit> {
        if regs.cs != USER_CODE_64 {
            return Err(Unfit::Now("does not run 64-bit code".to_owned()));
        }
        if regs.rip == 0 {
            return Err(Unfit::Never("has no user code".to_owned()));
        }
        match restart::call_state(regs) {
            Call::RestartBlock => Err(Unfit::Asleep),
            Call::Interrupted | Call::MustReturn => {
                Err(Unfit::Now("is in a system call that cannot be repeated".to_owned()))
            }
            Call::None if self.in_restartable_sequence(tid) => {
                // Restoring the registers would lead back into it without the abort that is due.
                Err(Unfit::Now("is in a restartable sequence".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// True if the thread has announced a restartable sequence (rseq(2)); such code makes no system calls.
    fn in_restartable_sequence(&self, tid: Pid) -> bool {
        const RSEQ_CS: u64 = 8;
        sys::rseq_area(tid)
            .is_some_and(|area| self.memory.read_u64(RuntimeAddr(area + RSEQ_CS)).is_ok_and(|cs| cs != 0))
    }
}

/// A thread that is stopped, with what leads it home.
pub(crate) struct Held<'a> {
    pub(crate) thread: HeldThread<'a>,
    /// Its registers and signal mask.
    pub(crate) regs: user_regs_struct,
    pub(crate) mask: u64,
    /// The frame that restores them.
    pub(crate) frame: SignalFrame,
    /// When it was asked to stop.
    pub(crate) begin: Instant,
}

/// A stopped thread that is let go when this is dropped, restored if need be.
pub(crate) struct HeldThread<'a> {
    pub(crate) tid: Pid,
    /// Signal to deliver.
    signal: i32,
    /// Registers and signal mask to put back.
    pub(crate) restore: Option<(user_regs_struct, u64)>,
    /// Ends waits, for the clock to be looked at.
    ticker: &'a Ticker,
}

impl HeldThread<'_> {
    /// Runs up to the next system call stop. With all signals blocked only SIGSTOP and SIGKILL interfere.
    pub(crate) fn run_to_syscall_stop(&self, deadline: Instant) -> io::Result<()> {
        let mut signal = 0;
        loop {
            sys::resume(self.tid, Resume::ToSystemCall, signal)?;
            match self.next_stop(deadline)? {
                (SYSCALL_STOP, 0) => return Ok(()),
                (delivered, 0) => signal = delivered,
                // A pending interrupt or a group stop; the thread goes on all the same.
                _ => signal = 0,
            }
        }
    }

    fn next_stop(&self, deadline: Instant) -> io::Result<(i32, i32)> {
        loop {
            match sys::wait(self.tid, true)? {
                Wait::Stopped { signal, event } => return Ok((signal, event)),
                Wait::Gone => return Err(io::Error::from_raw_os_error(libc::ESRCH)),
                Wait::NotYet if Instant::now() < deadline => {}
                Wait::NotYet => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }

    /// Lets a thread that sleeps in a system call go on, and stops it where that call ends by itself.
    fn run_to_end_of_call(&mut self, patience: Duration) -> io::Result<bool> {
        let deadline = Instant::now() + patience;
        let mut entered = false;
        loop {
            sys::resume(self.tid, Resume::ToSystemCall, 0)?;
            match self.next_stop(deadline) {
                Ok((SYSCALL_STOP, 0)) if entered => return Ok(true),
                Ok((SYSCALL_STOP, 0)) => entered = true,
                Ok((signal, 0)) => {
                    self.signal = signal;
                    return Ok(false);
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => break,
                Err(error) => return Err(error),
            }
        }
        if let Some((signal, 0)) = interrupt(self.tid, self.ticker)?
            && signal != SYSCALL_STOP
        {
            self.signal = signal;
        }
        Ok(false)
    }

    /// Puts registers and signal mask back, at a stop where the kernel restarts interrupted calls.
    pub(crate) fn put_back(&mut self) -> io::Result<()> {
        let Some((regs, mask)) = self.restore else { return Ok(()) };
        loop {
            ptrace::interrupt(self.tid)?;
            sys::resume(self.tid, Resume::Continue, std::mem::take(&mut self.signal))?;
            match self.next_stop(Instant::now() + CALL_PATIENCE)? {
                (signal, 0) if signal != SYSCALL_STOP => self.signal = signal,
                (_, 0) => {}
                _ => break,
            }
        }
        // The mask first: with the old registers and the new mask the thread would be deaf.
        sys::set_signal_mask(self.tid, mask)?;
        ptrace::setregs(self.tid, regs)?;
        self.restore = None;
        Ok(())
    }
}

impl HeldThread<'_> {
    /// Lets the thread go on as it is: the frame on its stack leads it home.
    pub(crate) fn leave(mut self) {
        self.restore = None;
        match interrupt(self.tid, self.ticker) {
            Ok(Some((signal, 0))) if signal != SYSCALL_STOP => self.signal = signal,
            Ok(_) => {}
            // It does not stop: the end of the loader sets it free.
            Err(_) => std::mem::forget(self),
        }
    }
}

impl Drop for HeldThread<'_> {
    fn drop(&mut self) {
        if self.put_back().is_err() {
            // The thread is gone, or its frame leads it home.
        }
        detach(self.tid, self.signal);
    }
}
