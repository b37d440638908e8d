//! System calls that the stop interrupted.
//!
//! Most blocking calls restart by themselves when a tracer stops them. Some answer EINTR although no signal
//! came (signal(7), "Interruption of system calls and library functions by stop signals"). For those on a
//! list the loader changes the answer to `ERESTARTNOHAND` while the thread is stopped: when it is let go, the
//! kernel makes the call again, or returns EINTR after all if a handler has to run (arch/x86/kernel/signal.c,
//! arch_do_signal_or_restart). So a signal that comes at any moment is told to the program as ever.
//! A finite timeout starts again in full, once for each stop: an apply stops a thread once, the one thread that
//! maps its memory twice. While the target is busy, the thread in the way is looked at from outside and stopped
//! again only after it has moved.

use crate::address::RuntimeAddr;
use crate::memory::RemoteMemory;
use crate::process::Process;
use libc::user_regs_struct;
use nix::sys::ptrace;
use nix::unistd::Pid;

/// Calls that may be made again after EINTR: they have done nothing by then.
const RESTARTABLE: &[libc::c_long] = &[
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_io_getevents,
    libc::SYS_io_uring_enter,
    // With a timeout on the socket these answer EINTR (socket(7), SO_RCVTIMEO and SO_SNDTIMEO).
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_accept,
    libc::SYS_accept4,
];

/// Calls that may be made again after EINTR if they are on a socket: with a timeout on it, net/core/sock.c
/// answers so, and only if no byte was moved. On other files the answer may come from a server that has begun
/// with the work (FUSE).
const RESTARTABLE_ON_SOCKETS: &[libc::c_long] =
    &[libc::SYS_read, libc::SYS_readv, libc::SYS_write, libc::SYS_writev];

/// True if a call that waits in its restart block may as well be made again from its beginning: poll(2) without a
/// timeout. Its thread can be used for injected calls then, and shows at the next stop too which call it is in.
fn may_start_over(regs: &user_regs_struct) -> bool {
    call_state(regs) == Call::RestartBlock
        && regs.orig_rax as i64 == libc::SYS_poll
        && (regs.rdx as u32).cast_signed() < 0
}

/// True if the loader makes system call `number` again after a stop.
pub(crate) fn is_made_again(number: libc::c_long) -> bool {
    RESTARTABLE.contains(&number)
}

/// The kernel's answer for a call whose rest is kept in the task's restart block
/// (`ERESTART_RESTARTBLOCK` of include/linux/errno.h).
const RESTART_BLOCK: i64 = -516;
/// `ERESTARTNOHAND`: make the call again unless a handler runs.
const RESTART_UNLESS_HANDLER: i64 = -514;
/// `ERESTARTSYS`, `ERESTARTNOINTR`, `ERESTARTNOHAND`.
const RESTART_CALL: [i64; 3] = [-512, -513, RESTART_UNLESS_HANDLER];

/// How a stopped thread stands to the system call that it was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// It runs user code, or its call is done.
    None,
    /// The kernel makes the call again by itself.
    Restarts,
    /// The kernel continues the call from the task's restart block.
    RestartBlock,
    /// The call returns EINTR because of the stop, and may be made again.
    Interrupted,
    /// The call returns EINTR, and that cannot be hidden.
    MustReturn,
}

/// How the registers of a stopped thread are to be read.
pub(crate) fn call_state(regs: &user_regs_struct) -> Call {
    let number = regs.orig_rax as i64;
    let result = regs.rax as i64;
    if number < 0 {
        Call::None
    } else if result == RESTART_BLOCK {
        Call::RestartBlock
    } else if RESTART_CALL.contains(&result) {
        Call::Restarts
    } else if result == -i64::from(libc::EINTR) {
        if is_made_again(number) { Call::Interrupted } else { Call::MustReturn }
    } else {
        Call::None
    }
}

/// The registers with which the thread makes its call again, without the kernel's help.
pub(crate) fn call_again(regs: &user_regs_struct) -> user_regs_struct {
    let mut again = *regs;
    again.rax = regs.orig_rax;
    again.rip = regs.rip.wrapping_sub(SYSCALL_INSTRUCTION.len() as u64);
    again.orig_rax = u64::MAX;
    again
}

/// `syscall`.
pub(crate) const SYSCALL_INSTRUCTION: [u8; 2] = [0x0f, 0x05];

/// Repairs the threads of one stop.
#[derive(Debug, Default)]
pub(crate) struct Repairs {
    /// Where a `syscall` instruction was seen last: threads that wait in the same call are many.
    seen: Option<u64>,
}

impl Repairs {
    /// Reads the registers of a stopped thread. If its system call has to be made again by the loader's doing,
    /// that is settled at once: from here on the thread may be let go at any time, by the loader's death too.
    pub(crate) fn read_and_repair(
        &mut self,
        tid: Pid,
        process: &Process,
        memory: &RemoteMemory,
    ) -> nix::Result<user_regs_struct> {
        let mut regs = ptrace::getregs(tid)?;
        let may_be_repeated = match call_state(&regs) {
            Call::Interrupted => true,
            Call::MustReturn => {
                RESTARTABLE_ON_SOCKETS.contains(&(regs.orig_rax as i64))
                    && process.is_socket(tid, regs.rdi as i32)
            }
            _ => may_start_over(&regs),
        };
        if may_be_repeated && self.made_by_syscall(&regs, memory) {
            regs.rax = RESTART_UNLESS_HANDLER as u64;
            ptrace::setregs(tid, regs)?;
        }
        Ok(regs)
    }

    /// Numbers mean other calls behind `int $0x80`.
    fn made_by_syscall(&mut self, regs: &user_regs_struct, memory: &RemoteMemory) -> bool {
        if self.seen == Some(regs.rip) {
            return true;
        }
        let mut instruction = [0; SYSCALL_INSTRUCTION.len()];
        let address = RuntimeAddr(regs.rip.wrapping_sub(instruction.len() as u64));
        let found = memory.read(address, &mut instruction).is_ok() && instruction == SYSCALL_INSTRUCTION;
        if found {
            self.seen = Some(regs.rip);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regs(number: i64, result: i64) -> user_regs_struct {
        user_regs_struct {
            orig_rax: number as u64,
            rax: result as u64,
            rip: 0x1002,
            r15: 0,
            r14: 0,
            r13: 0,
            r12: 0,
            rbp: 0,
            rbx: 0,
            r11: 0,
            r10: 0,
            r9: 0,
            r8: 0,
            rcx: 0,
            rdx: 0,
            rsi: 0,
            rdi: 0,
            cs: 0,
            eflags: 0,
            rsp: 0,
            ss: 0,
            fs_base: 0,
            gs_base: 0,
            ds: 0,
            es: 0,
            fs: 0,
            gs: 0,
        }
    }

    #[test]
    fn only_listed_calls_are_made_again() {
        assert_eq!(call_state(&regs(libc::SYS_epoll_wait, -4)), Call::Interrupted);
        assert_eq!(call_state(&regs(libc::SYS_epoll_wait, 1)), Call::None);
        assert_eq!(call_state(&regs(libc::SYS_ioctl, -4)), Call::MustReturn);
        assert_eq!(call_state(&regs(libc::SYS_close, -4)), Call::MustReturn);
        assert_eq!(call_state(&regs(libc::SYS_futex, -512)), Call::Restarts);
        assert_eq!(call_state(&regs(libc::SYS_nanosleep, -516)), Call::RestartBlock);
        assert_eq!(call_state(&regs(-1, -4)), Call::None);
    }

    #[test]
    fn a_call_made_again_starts_at_its_instruction() {
        let again = call_again(&regs(libc::SYS_epoll_wait, -4));
        assert_eq!((again.rip, again.rax), (0x1000, libc::SYS_epoll_wait as u64));
        assert_eq!(again.orig_rax as i64, -1);
    }
}
