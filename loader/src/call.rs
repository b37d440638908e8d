//! A function run by a thread of the target on the loader's behalf, with the other threads running.
//!
//! The function is the patch's, and it ends with rt_sigreturn(2) on the frame that stands on the thread's stack: whatever
//! becomes of the loader, the thread finishes the function and goes home by itself. If the function does not end in time,
//! because it waits for a lock, the loader leaves it at that.

use crate::address::{AddressRange, RuntimeAddr};
use crate::error::{LoaderError, Result};
use crate::inject::{Held, Unfit, Workers};
use crate::sys::{self, Ticker};
use crate::threads::TICK;
use libc::user_regs_struct;
use nix::sys::ptrace;
use nix::unistd::Pid;
use std::io;
use std::time::{Duration, Instant};

/// Bytes of stack that the function may use: the dynamic linker saves vector registers when it is called first.
const STACK: u64 = 32 << 10;
/// How long to wait for one sleeping thread to come out of its system call by itself.
const SLICE: Duration = Duration::from_millis(50);
/// How long the function may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The direction flag, clear where functions are called (psABI, section 3.2.1).
const DIRECTION: u64 = 1 << 10;

/// Says what speaks against the thread with these registers.
type Check<'c> = &'c dyn Fn(&user_regs_struct) -> std::result::Result<(), String>;

/// Runs `function` once, on a thread that `check` admits. Returns how long that thread did something else than before.
pub(crate) fn run(
    workers: Workers<'_>,
    function: AddressRange,
    check: Check<'_>,
    deadline: Instant,
) -> Result<Duration> {
    let pid = workers.process.pid();
    let mut reason = "it has no thread".to_owned();
    loop {
        let candidates = workers.candidates();
        let ticker = Ticker::start(TICK, candidates.clone())
            .map_err(|error| LoaderError::system(pid, "starting a timer", error))?;
        // Threads that do not wait now are left alone.
        let waiting = |tid: &Pid| workers.process.blocked_call(*tid).is_some_and(|call| call.number >= 0);
        let waiting: Vec<Pid> = candidates.into_iter().filter(waiting).collect();
        let mut asleep = Vec::new();
        for (tid, patience) in waiting.iter().map(|tid| (*tid, None)) {
            match on_thread(workers, tid, function, check, patience, &ticker)? {
                Ok(stopped) => return Ok(stopped),
                Err(Unfit::Asleep) => asleep.push(tid),
                Err(Unfit::Never(why) | Unfit::Now(why)) => reason = format!("thread {tid} {why}"),
            }
        }
        for tid in asleep {
            reason = format!("thread {tid} sleeps in a system call and does not come out of it");
            match on_thread(workers, tid, function, check, Some(SLICE), &ticker)? {
                Ok(stopped) => return Ok(stopped),
                Err(Unfit::Asleep) => {}
                Err(Unfit::Never(why) | Unfit::Now(why)) => reason = format!("thread {tid} {why}"),
            }
        }
        if Instant::now() >= deadline || sys::cancelled() {
            let reason = format!("no thread can register unwind tables now: {reason}");
            return Err(LoaderError::Busy { pid, reason });
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn on_thread(
    workers: Workers<'_>,
    tid: Pid,
    function: AddressRange,
    check: Check<'_>,
    patience: Option<Duration>,
    ticker: &Ticker,
) -> Result<std::result::Result<Duration, Unfit>> {
    let held = match workers.hold(tid, patience, STACK, ticker)? {
        Ok(held) => held,
        Err(unfit) => return Ok(Err(unfit)),
    };
    if let Err(why) = check(&held.regs) {
        return Ok(Err(Unfit::Now(why)));
    }
    let Held { mut thread, regs, mask, frame, begin } = held;
    let failed = |what, error: io::Error| LoaderError::system(tid, what, error);
    workers.memory.write(frame.address, &frame.bytes)?;
    let there = user_regs_struct {
        rax: 0,
        orig_rax: u64::MAX,
        rip: function.start.0,
        rsp: frame.stack_pointer,
        eflags: regs.eflags & !DIRECTION,
        ..regs
    };
    ptrace::setregs(tid, there).map_err(|errno| failed("setting registers", errno.into()))?;
    // From here on the frame leads the thread home, and nothing else while the function runs.
    let masked = sys::set_signal_mask(tid, u64::MAX);
    let ended = masked.and_then(|()| to_the_end(&thread, function.end));
    match ended {
        Ok(()) => {
            thread.restore = Some((regs, mask));
            thread.put_back().map_err(|error| failed("restoring a thread", error))?;
            drop(thread);
            Ok(Ok(begin.elapsed()))
        }
        Err(error) => {
            thread.leave();
            if error.kind() == io::ErrorKind::TimedOut {
                let pid = workers.process.pid();
                let reason = format!("thread {tid} waits for a lock while it registers unwind tables");
                return Err(LoaderError::Busy { pid, reason });
            }
            Err(failed("running a function", error))
        }
    }
}

/// Lets the thread go on until it is about to make the function's last system call, behind which is `end`.
fn to_the_end(thread: &crate::inject::HeldThread<'_>, end: RuntimeAddr) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        thread.run_to_syscall_stop(deadline)?;
        let regs = ptrace::getregs(thread.tid)?;
        if regs.orig_rax as i64 == libc::SYS_rt_sigreturn && regs.rip == end.0 {
            return Ok(());
        }
    }
}
