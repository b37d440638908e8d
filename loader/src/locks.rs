//! Whether a stopped thread may hold a lock of the allocator, the dynamic linker or the unwinder: a function that is run
//! on it would wait for itself.

use crate::address::{AddressRange, RuntimeAddr};
use crate::dynamic::Dynamic;
use crate::error::{LoaderError, Result};
use crate::memory::RemoteMemory;
use crate::target::Target;
use crate::unwind::Unwinder;
use libc::user_regs_struct;
use std::collections::{BTreeSet, HashSet};

/// System calls in which threads wait for something outside, and which begin and end nothing.
const WAITING: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_select,
    libc::SYS_pselect6,
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_io_getevents,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_pause,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_futex,
];

/// Functions of C libraries that take locks of the allocator or of the dynamic linker.
const LOCKING: &[&str] = &[
    "malloc",
    "calloc",
    "realloc",
    "reallocarray",
    "free",
    "cfree",
    "memalign",
    "aligned_alloc",
    "posix_memalign",
    "valloc",
    "pvalloc",
    "malloc_trim",
    "malloc_info",
    "malloc_stats",
    "malloc_usable_size",
    "mallinfo",
    "mallinfo2",
    "mallopt",
    "__libc_malloc",
    "__libc_calloc",
    "__libc_realloc",
    "__libc_memalign",
    "__libc_free",
    "fork",
    "_Fork",
    "__libc_fork",
    "dl_iterate_phdr",
    "dlopen",
    "dlmopen",
    "dlclose",
    "dlsym",
    "dlvsym",
    "dladdr",
    "dladdr1",
    "dlinfo",
    "dlerror",
];

/// Functions of C libraries that wait in futex(2) for the program's own sake; allocators wait there for their locks.
const WAITS: &[&str] = &[
    "pthread_cond_wait",
    "pthread_cond_timedwait",
    "pthread_cond_clockwait",
    "pthread_mutex_lock",
    "pthread_mutex_timedlock",
    "pthread_mutex_clocklock",
    "pthread_rwlock_rdlock",
    "pthread_rwlock_wrlock",
    "pthread_barrier_wait",
    "pthread_join",
    "pthread_timedjoin_np",
    "pthread_clockjoin_np",
    "sem_wait",
    "sem_timedwait",
    "sem_clockwait",
    "cnd_wait",
    "cnd_timedwait",
    "mtx_lock",
    "mtx_timedlock",
    "thrd_join",
    "syscall",
];

/// The code of a process that takes the locks in question.
pub(crate) struct Locks {
    /// Whole images: the dynamic linker, the unwinder, allocators, and code that the patch names.
    ranges: Vec<AddressRange>,
    /// Where functions begin that take them.
    locking: HashSet<RuntimeAddr>,
    /// Where functions begin that wait in futex(2).
    waits: HashSet<RuntimeAddr>,
}

impl Locks {
    /// Looks at the images of `target`; `avoid` is what is known beyond them.
    pub(crate) fn read(target: &Target, avoid: Vec<AddressRange>) -> Result<Self> {
        let (images, memory) = (&target.images, &target.memory);
        let headers = target.process.program_headers();
        let mut locks = Locks { ranges: avoid, locking: HashSet::new(), waits: HashSet::new() };
        let set = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<&str>>();
        let (locking, waits) = (set(LOCKING), set(WAITS));
        for image in images.iter().filter(|image| image.path.is_some()) {
            let begins = |with: &[&str]| with.iter().any(|with| image.name.starts_with(with));
            if begins(&["ld-", "ld.so", "ld64", "libgcc_s", "libunwind"]) {
                locks.ranges.push(image.extent());
                continue;
            }
            let dynamic = match Dynamic::read(image, memory) {
                Ok(Some(dynamic)) => dynamic,
                // A file that is only read as data has no tables in memory.
                Ok(None) | Err(LoaderError::Memory { .. }) => continue,
                Err(error) => return Err(error),
            };
            let defines = |name: &str| dynamic.defined(&set_of(name)).next().is_some();
            if defines("malloc")
                && !defines("__libc_start_main")
                && !headers.is_some_and(|at| image.extent().contains(at))
            {
                locks.ranges.push(image.extent());
                continue;
            }
            locks.locking.extend(dynamic.defined(&locking).map(|address| image.bias.at(address)));
            if defines("__libc_start_main") {
                locks.waits.extend(dynamic.defined(&waits).map(|address| image.bias.at(address)));
            }
        }
        Ok(locks)
    }

    /// Says what speaks against a function being run on a stopped thread with these registers.
    pub(crate) fn free(
        &self,
        regs: &user_regs_struct,
        unwinder: &Unwinder,
        memory: &RemoteMemory,
    ) -> std::result::Result<(), String> {
        let call = regs.orig_rax as i64;
        if !WAITING.contains(&call) {
            return Err("does not wait for anything".to_owned());
        }
        let frames = unwinder.unwind(regs, memory).map_err(|error| error.to_string())?;
        let mut waits = call != libc::SYS_futex;
        for frame in frames {
            let start = unwinder.function_start(frame.instruction);
            let is_in = |set: &HashSet<RuntimeAddr>| start.is_some_and(|start| set.contains(&start));
            if self.ranges.iter().any(|range| range.contains(frame.instruction)) || is_in(&self.locking) {
                return Err("is inside the allocator, the dynamic linker or the unwinder".to_owned());
            }
            waits |= is_in(&self.waits);
        }
        if waits { Ok(()) } else { Err("waits for a lock that is not known".to_owned()) }
    }
}

fn set_of(name: &str) -> BTreeSet<&str> {
    std::iter::once(name).collect()
}
