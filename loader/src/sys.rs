//! The system calls that no safe wrapper covers. All unsafe code of the loader is here.
#![allow(unsafe_code, reason = "the one module that talks to the kernel directly")]

use nix::errno::Errno;
use nix::unistd::Pid;
use std::cell::Cell;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// `PTRACE_SETSIGMASK` of `include/uapi/linux/ptrace.h`.
const PTRACE_SETSIGMASK: libc::c_uint = 0x420b;
/// `NT_X86_XSTATE` of `include/uapi/linux/elf.h`.
const NT_X86_XSTATE: usize = 0x202;
/// More than any XSAVE area in existence (AMX makes it 11 KiB).
const MAX_XSTATE: usize = 64 * 1024;
/// `KCMP_VM` of `include/uapi/linux/kcmp.h`.
const KCMP_VM: libc::c_long = 1;

/// What waitpid(2) says about a tracee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It is gone.
    Gone,
    /// It stopped: with this signal, for this ptrace event (0 for none).
    Stopped {
        /// The signal.
        signal: i32,
        /// The event.
        event: i32,
    },
    /// It has not stopped yet; a timer or signal ended the wait.
    NotYet,
}

/// Waits until `tid` stops or a signal arrives here; with `block` unset, only looks.
pub(crate) fn wait(tid: Pid, block: bool) -> io::Result<Wait> {
    let mut status = 0;
    let flags = libc::__WALL | if block { 0 } else { libc::WNOHANG };
    // SAFETY: `status` is a valid place for the result.
    let result = unsafe { libc::waitpid(tid.as_raw(), &raw mut status, flags) };
    match Errno::result(result) {
        Ok(0) | Err(Errno::EINTR) => Ok(Wait::NotYet),
        Ok(_) if libc::WIFSTOPPED(status) => {
            Ok(Wait::Stopped { signal: libc::WSTOPSIG(status), event: status >> 16 })
        }
        Ok(_) | Err(Errno::ECHILD) => Ok(Wait::Gone),
        Err(errno) => Err(errno.into()),
    }
}

/// Ways to let a stopped tracee go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    /// Run.
    Continue,
    /// Run up to the next entry into or exit from a system call.
    ToSystemCall,
    /// Run untraced.
    Detach,
}

/// Resumes `tid`, delivering `signal` unless it is 0. Takes realtime signals too, which nix does not.
pub(crate) fn resume(tid: Pid, how: Resume, signal: i32) -> io::Result<()> {
    let request = match how {
        Resume::Continue => libc::PTRACE_CONT,
        Resume::ToSystemCall => libc::PTRACE_SYSCALL,
        Resume::Detach => libc::PTRACE_DETACH,
    };
    // SAFETY: these requests take a number for `data` and ignore `addr`.
    let result = unsafe {
        libc::ptrace(
            request,
            tid.as_raw(),
            ptr::null_mut::<u8>(),
            ptr::without_provenance_mut::<u8>(signal as usize),
        )
    };
    Errno::result(result)?;
    Ok(())
}

/// The thread's XSAVE image in the standard format.
pub(crate) fn xstate(tid: Pid) -> io::Result<Vec<u8>> {
    let mut image = vec![0_u8; MAX_XSTATE];
    let mut piece = libc::iovec { iov_base: image.as_mut_ptr().cast(), iov_len: image.len() };
    // SAFETY: `piece` describes `image`, which outlives the call; the kernel writes at most its length.
    let result = unsafe {
        libc::ptrace(
            libc::PTRACE_GETREGSET,
            tid.as_raw(),
            ptr::without_provenance_mut::<u8>(NT_X86_XSTATE),
            &raw mut piece,
        )
    };
    Errno::result(result)?;
    image.truncate(piece.iov_len);
    Ok(image)
}

/// The thread's signal mask; if a system call replaced it for its duration, the one to come back to.
pub(crate) fn signal_mask(tid: Pid) -> io::Result<u64> {
    let mut mask = 0_u64;
    // SAFETY: `addr` is the size of the kernel's sigset_t, `mask` has that size.
    let result = unsafe {
        libc::ptrace(
            libc::PTRACE_GETSIGMASK,
            tid.as_raw(),
            ptr::without_provenance_mut::<u8>(size_of::<u64>()),
            &raw mut mask,
        )
    };
    Errno::result(result)?;
    Ok(mask)
}

/// Sets the thread's signal mask.
pub(crate) fn set_signal_mask(tid: Pid, mask: u64) -> io::Result<()> {
    let mut mask = mask;
    // SAFETY: `addr` is the size of the kernel's sigset_t, `mask` has that size.
    let result = unsafe {
        libc::ptrace(
            PTRACE_SETSIGMASK,
            tid.as_raw(),
            ptr::without_provenance_mut::<u8>(size_of::<u64>()),
            &raw mut mask,
        )
    };
    Errno::result(result)?;
    Ok(())
}

/// Address of the thread's registered `struct rseq`, None if it has none.
pub(crate) fn rseq_area(tid: Pid) -> Option<u64> {
    // SAFETY: the structure is plain data for which zero bytes are valid.
    let mut area: libc::ptrace_rseq_configuration = unsafe { std::mem::zeroed() };
    // SAFETY: `addr` is the size of `area`, which the kernel fills.
    let result = unsafe {
        libc::ptrace(
            libc::PTRACE_GET_RSEQ_CONFIGURATION,
            tid.as_raw(),
            ptr::without_provenance_mut::<u8>(size_of::<libc::ptrace_rseq_configuration>()),
            &raw mut area,
        )
    };
    (result > 0 && area.rseq_abi_pointer != 0).then_some(area.rseq_abi_pointer)
}

/// True if two processes run in the same memory.
pub(crate) fn shares_memory(one: Pid, other: Pid) -> io::Result<bool> {
    // SAFETY: kcmp(2) takes numbers only.
    let result =
        unsafe { libc::syscall(libc::SYS_kcmp, one.as_raw(), other.as_raw(), KCMP_VM, 0_usize, 0_usize) };
    Ok(Errno::result(result)? == 0)
}

/// While it lives, blocking system calls of the calling thread are interrupted once per period, and those of
/// its tracees in a list that have ended are taken note of.
///
/// A timer that repeats, so that a tick which falls between two waits does no harm. The taking note is for
/// execve(2) in the target: it waits for the tracer to see its killed sibling threads end, and holds the lock
/// (`cred_guard_mutex`) that PTRACE_SEIZE of the next thread sleeps for. The tick comes through there.
pub(crate) struct Ticker {
    timer: libc::timer_t,
    /// What the handler looks at.
    watched: Box<[Pid]>,
    /// What it looked at before.
    outer: *const [Pid],
}

thread_local! {
    /// The list of the youngest ticker. Without a destructor, so that a signal handler may read it.
    static WATCHED: Cell<*const [Pid]> = const { Cell::new(NOBODY) };
}
const NOBODY: *const [Pid] = ptr::slice_from_raw_parts(ptr::null(), 0);

impl Ticker {
    /// Starts ticking. `watched` are threads that are traced, or about to be.
    pub(crate) fn start(period: Duration, watched: Vec<Pid>) -> io::Result<Self> {
        install_handler(libc::SIGALRM, reap_watched)?;
        // SAFETY: sigevent is plain data for which zero bytes are valid.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGALRM;
        event.sigev_notify_thread_id = nix::unistd::gettid().as_raw();
        let mut timer: libc::timer_t = ptr::null_mut();
        // SAFETY: both pointers are valid for the call.
        let result = unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) };
        Errno::result(result)?;
        let watched = watched.into_boxed_slice();
        let outer = WATCHED.replace(&raw const *watched);
        let ticker = Ticker { timer, watched, outer };
        let interval = libc::timespec {
            tv_sec: period.as_secs() as libc::time_t,
            tv_nsec: libc::c_long::from(period.subsec_nanos() as i32),
        };
        let period = libc::itimerspec { it_interval: interval, it_value: interval };
        // SAFETY: the timer was just created, `period` is valid for the call.
        let result = unsafe { libc::timer_settime(timer, 0, &raw const period, ptr::null_mut()) };
        Errno::result(result)?;
        Ok(ticker)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // SAFETY: the timer was created by `start` and is deleted once.
        unsafe { libc::timer_delete(self.timer) };
        debug_assert_eq!(WATCHED.get(), &raw const *self.watched, "tickers are nested");
        WATCHED.set(self.outer);
    }
}

/// While it lives, the calling thread is not preempted by ordinary work: threads of the target wait for it.
///
/// Without the right to do so (CAP_SYS_NICE) nothing happens.
pub(crate) struct Urgency {
    before: Option<(libc::c_int, libc::sched_param)>,
}

impl Urgency {
    /// Takes the lowest realtime priority.
    pub(crate) fn take() -> Self {
        let mut parameter = libc::sched_param { sched_priority: 0 };
        // SAFETY: `parameter` is a valid place for the result; 0 is the calling thread.
        let policy = unsafe {
            libc::sched_getparam(0, &raw mut parameter);
            libc::sched_getscheduler(0)
        };
        let urgent = libc::sched_param { sched_priority: 1 };
        let policy_now = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
        // SAFETY: `urgent` is valid for the call.
        let result = unsafe { libc::sched_setscheduler(0, policy_now, &raw const urgent) };
        Urgency { before: (policy >= 0 && result == 0).then_some((policy, parameter)) }
    }
}

impl Drop for Urgency {
    fn drop(&mut self) {
        if let Some((policy, parameter)) = self.before {
            // SAFETY: `parameter` is what the kernel told for this policy.
            unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) };
        }
    }
}

static CANCELLED: AtomicBool = AtomicBool::new(false);

/// From now on SIGINT, SIGTERM and SIGHUP only set a flag that [`cancelled`] tells, and a terminal's SIGTSTP
/// does nothing: a loader that stops in the wrong moment keeps its target stopped.
pub(crate) fn catch_termination() -> io::Result<()> {
    install_handler(libc::SIGTSTP, ignore_signal)?;
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        install_handler(signal, note_cancellation)?;
    }
    Ok(())
}

/// True if the user asked to stop.
pub(crate) fn cancelled() -> bool {
    CANCELLED.load(Ordering::Relaxed)
}

extern "C" fn ignore_signal(_: libc::c_int) {}

/// Takes the exit status of each watched tracee that has ended. Later waits for it say that there is no such
/// child. Stops are left for the waits that expect them: waitid(2) tells of them whatever it is asked for.
extern "C" fn reap_watched(_: libc::c_int) {
    let errno = Errno::last_raw();
    // SAFETY: the list belongs to a ticker of this thread, which takes it back before it goes.
    let watched = if WATCHED.get().is_null() { &[] } else { unsafe { &*WATCHED.get() } };
    for tid in watched {
        let look = |flags| {
            // SAFETY: siginfo_t is plain data for which zero bytes are valid.
            let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
            let flags = flags | libc::WEXITED | libc::WNOHANG | libc::__WALL;
            // SAFETY: `info` is a valid place for the result; waitid(2) is async-signal-safe.
            unsafe { libc::waitid(libc::P_PID, tid.as_raw() as libc::id_t, &raw mut info, flags) };
            info.si_code
        };
        if [libc::CLD_EXITED, libc::CLD_KILLED, libc::CLD_DUMPED].contains(&look(libc::WNOWAIT)) {
            look(0);
        }
    }
    Errno::set_raw(errno);
}

extern "C" fn note_cancellation(_: libc::c_int) {
    CANCELLED.store(true, Ordering::Relaxed);
}

/// Installs a handler that ends blocking system calls (no `SA_RESTART`).
fn install_handler(signal: libc::c_int, handler: extern "C" fn(libc::c_int)) -> io::Result<()> {
    // SAFETY: sigaction is plain data for which zero bytes are valid (no flags, empty mask).
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    // SAFETY: the handlers above do nothing that is not async-signal-safe (signal-safety(7)).
    let result = unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    Errno::result(result)?;
    Ok(())
}
