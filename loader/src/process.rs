//! A process, held so that its number cannot come to mean another one.

use crate::address::RuntimeAddr;
use crate::error::{LoaderError, Result};
use crate::maps::{MapsFile, MemoryMap};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// `AT_PHDR` of getauxval(3).
const AT_PHDR: u64 = 3;
/// `PF_USER_WORKER` of the kernel's `include/linux/sched.h`: a kernel-made task of the process (vhost,
/// io_uring, KVM's page recovery) which never runs user code.
const PF_USER_WORKER: u64 = 0x4000;
/// `PF_IO_WORKER`, which older kernels set instead.
const PF_IO_WORKER: u64 = 0x10;
/// `PF_KTHREAD`: a thread of the kernel's own, in no user process.
const PF_KTHREAD: u64 = 0x20_0000;
/// How long a process that lost its memory may take until it shows what became of it.
const DYING: Duration = Duration::from_millis(100);

/// A process, known by an open `/proc/PID` directory: once the process is gone, every file in it is gone too,
/// even if another process gets the number.
#[derive(Clone, Debug)]
pub struct Process {
    pid: Pid,
    directory: Arc<OwnedFd>,
}

/// What the loader needs from `/proc/PID/task/TID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskStat {
    /// `R`, `S`, `Z` and so on.
    pub state: u8,
    /// The task is a user worker: it runs in the kernel only.
    pub user_worker: bool,
    /// The task is a thread of the kernel's own.
    pub kernel_thread: bool,
    /// When it was started, in clock ticks since boot.
    pub start_time: u64,
    /// Where the first thread's stack begins; above it are arguments and environment. 0 if hidden.
    pub start_stack: u64,
    /// Start of the heap that brk(2) extends, 0 if hidden.
    pub start_brk: u64,
}

/// What the loader needs from `/proc/PID/task/TID/status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskStatus {
    /// Thread group, the process.
    pub tgid: i32,
    /// Who traces it, 0 for nobody.
    pub tracer: i32,
    /// Seccomp mode, 0 for none.
    pub seccomp: u32,
    /// Uses a shadow stack.
    pub shadow_stack: bool,
}

impl Process {
    /// Opens process `pid`, which must be a live process with memory of its own.
    pub fn open(pid: i32) -> Result<Self> {
        let pid = Pid::from_raw(pid);
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = nix::fcntl::open(format!("/proc/{pid}").as_str(), flags, Mode::empty())
            .map_err(|_| LoaderError::NoProcess(pid))?;
        let process = Process { pid, directory: Arc::new(directory) };
        let status = process.task_status(pid).map_err(|error| process.explain("reading status", error))?;
        if status.tgid != pid.as_raw() {
            return Err(LoaderError::NotAProcess { tid: pid, pid: Pid::from_raw(status.tgid) });
        }
        let stat = process.task_stat(pid).map_err(|error| process.explain("reading stat", error))?;
        if matches!(stat.state, b'Z' | b'X') && process.tasks().map_or(0, |tasks| tasks.len()) <= 1 {
            return Err(LoaderError::ProcessEnded(pid));
        }
        Ok(process)
    }

    /// Its number.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The open `/proc/PID` directory.
    pub fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Opens a file in `/proc/PID`.
    pub fn open_file(&self, name: &str, flags: OFlag) -> io::Result<File> {
        Ok(openat(&self.directory, name, flags | OFlag::O_CLOEXEC, Mode::empty())?.into())
    }

    /// Reads a file in `/proc/PID`.
    pub fn read_file(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut contents = Vec::new();
        self.open_file(name, OFlag::O_RDONLY)?.read_to_end(&mut contents)?;
        Ok(contents)
    }

    /// Opens the list of mappings.
    pub fn maps_file(&self) -> Result<MapsFile> {
        let file = self.open_file("maps", OFlag::O_RDONLY);
        file.map(MapsFile::new).map_err(|error| self.explain("reading maps", error))
    }

    /// The mappings.
    pub fn memory_map(&self) -> Result<MemoryMap> {
        self.read_map(&mut self.maps_file()?)
    }

    /// The mappings, from a file that is open already.
    pub fn read_map(&self, file: &mut MapsFile) -> Result<MemoryMap> {
        let map = file.read().map_err(|error| self.explain("reading maps", error))?;
        let map = MemoryMap::parse(map.to_vec());
        if map.iter().next().is_none() {
            return Err(self.without_memory());
        }
        Ok(map)
    }

    /// Tells why the process does not have the memory any more that it was opened with.
    pub(crate) fn without_memory(&self) -> LoaderError {
        let ended = |stat: &TaskStat| matches!(stat.state, b'Z' | b'X');
        let deadline = Instant::now() + DYING;
        loop {
            let Ok(leader) = self.task_stat(self.pid) else { return LoaderError::ProcessEnded(self.pid) };
            if leader.kernel_thread {
                return LoaderError::KernelThread(self.pid);
            }
            // Opened anew, the list is that of the program which runs now. A process that ends has none.
            if self.read_file("maps").is_ok_and(|maps| !maps.is_empty()) {
                return LoaderError::AnotherProgram(self.pid);
            }
            let tasks = self.tasks().unwrap_or_default();
            let others = tasks.into_iter().any(|tid| self.task_stat(tid).is_ok_and(|stat| !ended(&stat)));
            if ended(&leader) && !others {
                return LoaderError::ProcessEnded(self.pid);
            }
            if Instant::now() >= deadline {
                return if ended(&leader) {
                    LoaderError::LeaderEnded(self.pid)
                } else {
                    LoaderError::ProcessEnded(self.pid)
                };
            }
            sleep(Duration::from_millis(1));
        }
    }

    /// Path of the executable, as seen from the process.
    pub fn exe(&self) -> Option<PathBuf> {
        nix::fcntl::readlinkat(&self.directory, "exe").ok().map(PathBuf::from)
    }

    /// Where the program headers of the executable are.
    pub fn program_headers(&self) -> Option<RuntimeAddr> {
        let vector = self.read_file("auxv").ok()?;
        let word = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).ok();
        vector.chunks_exact(16).find_map(|entry| {
            let (kind, value) = (word(&entry[..8])?, word(&entry[8..])?);
            (kind == AT_PHDR).then_some(RuntimeAddr(value))
        })
    }

    /// True if a task has a socket open under this number.
    pub fn is_socket(&self, tid: Pid, descriptor: i32) -> bool {
        nix::fcntl::readlinkat(&self.directory, format!("task/{tid}/fd/{descriptor}").as_str())
            .is_ok_and(|name| name.as_encoded_bytes().starts_with(b"socket:"))
    }

    /// The tasks of the process at this moment, user workers included.
    pub fn tasks(&self) -> io::Result<Vec<Pid>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut tasks = nix::dir::Dir::openat(&self.directory, "task", flags, Mode::empty())?;
        let mut tids = Vec::new();
        for entry in tasks.iter() {
            let entry = entry?;
            let name = entry.file_name().to_str().ok();
            tids.extend(name.and_then(|name| name.parse().ok()).map(Pid::from_raw));
        }
        Ok(tids)
    }

    /// How many tasks the process has: the link count of its `task` directory, which the kernel computes so
    /// (fs/proc/base.c, proc_task_getattr).
    pub fn task_count(&self) -> io::Result<u64> {
        let stat = nix::sys::stat::fstatat(&self.directory, "task", nix::fcntl::AtFlags::empty())?;
        Ok(stat.st_nlink.saturating_sub(2))
    }

    /// Reads `stat` of one task.
    pub fn task_stat(&self, tid: Pid) -> io::Result<TaskStat> {
        let text = self.read_file(&format!("task/{tid}/stat"))?;
        parse_stat(&text).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// Reads `status` of one task.
    pub fn task_status(&self, tid: Pid) -> io::Result<TaskStatus> {
        let text = self.read_file(&format!("task/{tid}/status"))?;
        Ok(parse_status(&String::from_utf8_lossy(&text)))
    }

    /// The system call that a task is blocked in: its number, stack pointer and instruction pointer.
    pub fn blocked_call(&self, tid: Pid) -> Option<BlockedCall> {
        let text = self.read_file(&format!("task/{tid}/syscall")).ok()?;
        let text = String::from_utf8_lossy(&text);
        let fields: Vec<&str> = text.split_whitespace().collect();
        let hex = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
        let [number, .., stack, instruction] = fields[..] else { return None };
        Some(BlockedCall { number: number.parse().ok()?, stack: hex(stack)?, instruction: hex(instruction)? })
    }

    /// Tells what a failed access to one of the files means.
    pub(crate) fn explain(&self, what: &'static str, source: io::Error) -> LoaderError {
        match source.kind() {
            io::ErrorKind::NotFound => LoaderError::ProcessEnded(self.pid),
            _ => LoaderError::system(self.pid, what, source),
        }
    }
}

/// Where a task waits in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockedCall {
    /// Number of the system call, -1 for none.
    pub number: i64,
    /// Stack pointer at the call.
    pub stack: u64,
    /// Instruction pointer behind the call.
    pub instruction: u64,
}

/// The fields of a `stat` file behind the name: the first one is number 3 of proc_pid_stat(5).
fn stat_fields(text: &[u8]) -> Option<Vec<&str>> {
    // The name in parentheses may hold anything, parentheses and spaces too.
    let behind_name = text.iter().rposition(|&byte| byte == b')')? + 1;
    let fields = std::str::from_utf8(text.get(behind_name..)?).ok()?;
    Some(fields.split_whitespace().collect())
}

/// The kernel's flags of a task, from its `stat` file.
pub(crate) fn task_flags(text: &[u8]) -> Option<u64> {
    stat_fields(text)?.get(9 - 3)?.parse().ok()
}

fn parse_stat(text: &[u8]) -> Option<TaskStat> {
    let fields = stat_fields(text)?;
    let field = |number: usize| fields.get(number - 3).copied();
    let flags = task_flags(text)?;
    Some(TaskStat {
        state: *field(3)?.as_bytes().first()?,
        user_worker: flags & (PF_USER_WORKER | PF_IO_WORKER) != 0,
        kernel_thread: flags & PF_KTHREAD != 0,
        start_time: field(22)?.parse().ok()?,
        start_stack: field(28).and_then(|text| text.parse().ok()).unwrap_or(0),
        start_brk: field(47).and_then(|text| text.parse().ok()).unwrap_or(0),
    })
}

fn parse_status(text: &str) -> TaskStatus {
    let mut status = TaskStatus::default();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match key {
            "Tgid" => status.tgid = value.parse().unwrap_or(0),
            "TracerPid" => status.tracer = value.parse().unwrap_or(0),
            "Seccomp" => status.seccomp = value.parse().unwrap_or(u32::MAX),
            "x86_Thread_features" => status.shadow_stack = value.contains("shstk"),
            _ => {}
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_process() {
        let process = Process::open(std::process::id() as i32).unwrap();
        let tasks = process.tasks().unwrap();
        assert!(tasks.contains(&nix::unistd::gettid()));
        let stat = process.task_stat(nix::unistd::gettid()).unwrap();
        assert!(!stat.user_worker && !stat.kernel_thread && stat.start_time > 0);
        assert_eq!(process.task_status(process.pid()).unwrap().tgid, process.pid().as_raw());
        assert!(process.memory_map().unwrap().iter().count() > 5);
    }

    #[test]
    fn kernel_thread_and_dead_process() {
        let kthreadd = Process::open(2).unwrap();
        assert!(matches!(kthreadd.memory_map(), Err(LoaderError::KernelThread(_))));
        assert!(matches!(Process::open(0x3fff_ffff), Err(LoaderError::NoProcess(_))));
    }

    #[test]
    fn user_worker_with_odd_name() {
        let text = b"7 (a) b (c) S 1 7 7 0 -1 16384 0 0 0 0 0 0 0 0 20 0 2 0 4711 0 0";
        let stat = parse_stat(text).unwrap();
        assert!(stat.user_worker && !stat.kernel_thread);
        assert_eq!((stat.state, stat.start_time, stat.start_brk), (b'S', 4711, 0));
    }
}
