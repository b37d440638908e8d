//! Which system calls the threads may make that run guest code or work on what the guest asks for. Any other one kills
//! the process. The main thread, which a guest cannot reach, has no filter.

use crate::error::{Error, Result};
use libc::{PROT_EXEC, c_long};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// linux/kvm.h
const KVM_RUN: u64 = 0xae80;

/// What any thread of a Rust program needs: locks, messages, memory, sleep and its end. The last line is for a panic.
const COMMON: &[c_long] = &[
    libc::SYS_futex,
    libc::SYS_write,
    libc::SYS_clock_gettime,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigreturn,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_madvise,
    libc::SYS_sched_getaffinity,
    libc::SYS_sigaltstack,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_rt_sigprocmask,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_tgkill,
];

const VCPU: &[c_long] = &[libc::SYS_nanosleep, libc::SYS_clock_nanosleep];

const IO: &[c_long] = &[
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_fdatasync,
];

/// The filters, compiled.
pub(crate) struct Filters {
    pub(crate) vcpu: Arc<BpfProgram>,
    pub(crate) io: Arc<BpfProgram>,
}

impl Filters {
    pub(crate) fn new() -> Result<Self> {
        let vcpu = rules(VCPU).and_then(|mut rules| {
            rules.insert(libc::SYS_ioctl, vec![only_if(1, SeccompCmpOp::Eq, KVM_RUN)?]);
            Ok(rules)
        });
        Ok(Filters {
            vcpu: Arc::new(vcpu.and_then(compile).map_err(|error| Error::Seccomp("the vCPUs", error))?),
            io: Arc::new(
                rules(IO).and_then(compile).map_err(|error| Error::Seccomp("the I/O thread", error))?,
            ),
        })
    }
}

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

fn rules(more: &[c_long]) -> std::result::Result<Rules, seccompiler::Error> {
    let mut rules: Rules = COMMON.iter().chain(more).map(|call| (*call, Vec::new())).collect();
    // malloc extends its arenas; nobody gets executable memory.
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![only_if(2, SeccompCmpOp::MaskedEq(PROT_EXEC as u64), 0)?]);
    }
    Ok(rules)
}

fn only_if(
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> std::result::Result<SeccompRule, seccompiler::Error> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?;
    Ok(SeccompRule::new(vec![condition])?)
}

fn compile(rules: Rules) -> std::result::Result<BpfProgram, seccompiler::Error> {
    let filter =
        SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, TargetArch::x86_64)?;
    Ok(filter.try_into()?)
}

/// Puts the calling thread behind a filter, for good. A thread without its filter must not run.
pub(crate) fn apply(filter: &BpfProgram) {
    seccompiler::apply_filter(filter).expect("the kernel has seccomp filters");
}
