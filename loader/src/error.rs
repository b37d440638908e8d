//! Why an operation on a process was not carried out.

use crate::address::RuntimeAddr;
use crate::combine::Conflict;
use nix::unistd::Pid;
use patchfile::{BuildId, PatchFileError, PatchId};
use std::io;

/// Result of loader operations.
pub type Result<T> = std::result::Result<T, LoaderError>;

/// How a user should understand an error; decides the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something did not work.
    Failed,
    /// The input is not readable or not meaningful.
    Input,
    /// Doing it now would not be safe; later it may be.
    Busy,
    /// Doing it would not be safe.
    Refused,
}

/// What went wrong, one variant for each thing that a user can act on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoaderError {
    /// There is no such process.
    #[error("There is no process {0}")]
    NoProcess(Pid),
    /// The process ended while it was worked on.
    #[error("Process {0} has ended")]
    ProcessEnded(Pid),
    /// The first thread has ended, others live on: what proc tells of a process it tells of its first thread.
    #[error("The first thread of process {0} has ended: its memory cannot be looked at")]
    LeaderEnded(Pid),
    /// The process executed another program while it was worked on (execve(2)).
    #[error(
        "Process {0} runs another program now, its memory is gone; if that one has the image too, apply again"
    )]
    AnotherProgram(Pid),
    /// The number belongs to a thread that does not lead its process.
    #[error("{tid} is a thread of process {pid}; give the process")]
    NotAProcess {
        /// The number given.
        tid: Pid,
        /// The process it belongs to.
        pid: Pid,
    },
    /// A kernel thread has no user code.
    #[error("{0} is a kernel thread, it has no user-space image")]
    KernelThread(Pid),
    /// The kernel does not let this user trace the process.
    #[error("No permission to trace process {0}; run as root or as the process's user with CAP_SYS_PTRACE")]
    NoPermission(Pid),
    /// A debugger or another tracer is attached.
    #[error("Process {pid} is traced by process {tracer}; detach it first")]
    Traced {
        /// The target.
        pid: Pid,
        /// The tracer, 0 if it could not be found out.
        tracer: i32,
    },
    /// Another loader works on the target.
    #[error("Another loader holds the lock of process {0}")]
    Locked(Pid),
    /// The patch's image is not mapped.
    #[error("Process {pid} has no image with build ID {wanted}{}", found_list(.name, .found))]
    WrongBuild {
        /// The target.
        pid: Pid,
        /// File name of the image that the patch was made for.
        name: String,
        /// Its build ID.
        wanted: BuildId,
        /// Build IDs of images of that name in the process.
        found: Vec<BuildId>,
    },
    /// More than one copy of the image is mapped.
    #[error("Process {pid} has the image with build ID {build_id} mapped {count} times")]
    SeveralImages {
        /// The target.
        pid: Pid,
        /// The build ID.
        build_id: BuildId,
        /// How often.
        count: usize,
    },
    /// Text that is shared or writable cannot be changed for this process alone.
    #[error("The code of {function} at {address} is not a private, read-only mapping of a file")]
    TextMapping {
        /// The function.
        function: String,
        /// Where it is.
        address: RuntimeAddr,
    },
    /// The old code is not what the patch was made for.
    #[error("Function {function} differs from its build at {address}: {what}")]
    BytesDiffer {
        /// The function.
        function: String,
        /// First address that differs, if it could be told, else the start of the code.
        address: RuntimeAddr,
        /// What is there.
        what: String,
    },
    /// The contents made from the target's memory are not the ones that the patch expects.
    #[error("Section {0} cannot be rebuilt from the target's memory: the constants there were changed")]
    DeltaDiffers(String),
    /// No free address range near enough.
    #[error("Process {pid} has no free range of {bytes} bytes within 2 GiB of {image}")]
    NoRoom {
        /// The target.
        pid: Pid,
        /// How much is needed.
        bytes: u64,
        /// The image.
        image: String,
    },
    /// A symbol that the patch needs from the process's libraries has no certain place.
    #[error("Process {pid} has no certain {symbol} for the patch: {reason}")]
    Import {
        /// The target.
        pid: Pid,
        /// `NAME` or `NAME@VERSION`.
        symbol: String,
        /// What was found.
        reason: String,
    },
    /// A relocation cannot reach its symbol from the place of the payload.
    #[error("The reference to {symbol} from {section}+{offset:#x} does not reach")]
    OutOfReach {
        /// Section with the reference.
        section: String,
        /// Offset in it.
        offset: u64,
        /// What it refers to.
        symbol: String,
    },
    /// The two disassemblers read the relocated code differently.
    #[error("Code of {name} as relocated is not certain: {source}")]
    Decode {
        /// Section or function.
        name: String,
        /// Where they disagree.
        source: patchfile::decode::Disagreement,
    },
    /// No thread can run an injected system call.
    #[error("No thread of process {pid} can make a system call for the loader: {reason}")]
    NoInjectionThread {
        /// The target.
        pid: Pid,
        /// Why the last candidates were not taken.
        reason: String,
        /// True if waiting may help.
        transient: bool,
    },
    /// No executable page of the target has unused bytes at its end.
    #[error("Process {0} has no unused bytes behind a text segment to make a system call from")]
    NoSlack(Pid),
    /// The system call made inside the target failed.
    #[error("{call} inside process {pid} failed: {error}")]
    InjectedCall {
        /// The target.
        pid: Pid,
        /// Name of the system call.
        call: &'static str,
        /// What it returned.
        error: io::Error,
    },
    /// An image came or went (dlopen(3), dlclose(3)) between two looks at it.
    #[error("{image} was unloaded from process {pid}, or loaded anew, while it was worked on; try again")]
    Unloaded {
        /// The target.
        pid: Pid,
        /// Its file name.
        image: String,
    },
    /// The activeness check did not pass in time.
    #[error("Process {pid} is busy: {reason}")]
    Busy {
        /// The target.
        pid: Pid,
        /// Which thread is where.
        reason: String,
    },
    /// A thread waits where a tracer cannot stop it.
    #[error("Process {pid} is busy: thread {tid} cannot be stopped (state {state})")]
    DoesNotStop {
        /// The target.
        pid: Pid,
        /// The thread.
        tid: Pid,
        /// Its state; `D` is an uninterruptible wait, as for a vfork child or a disk.
        state: char,
    },
    /// Another process runs in the same memory without being a thread of it.
    #[error("Process {other} shares the memory of process {pid}; it has to end first")]
    SharedMemory {
        /// The target.
        pid: Pid,
        /// The other process.
        other: Pid,
    },
    /// The record in the target cannot be used.
    #[error("The patch record at {address} in process {pid} is not usable: {what}")]
    DamagedRecord {
        /// The target.
        pid: Pid,
        /// Where the record is.
        address: RuntimeAddr,
        /// What is wrong with it.
        what: String,
    },
    /// A loader of another version made the record.
    #[error(
        "The patch record at {address} in process {pid} has version {found}, this program knows version {known}: \
         use the tardigrade that applied it"
    )]
    RecordVersion {
        /// The target.
        pid: Pid,
        /// Where the record is.
        address: RuntimeAddr,
        /// Its version.
        found: u32,
        /// The version of this loader.
        known: u32,
    },
    /// Another patch of the image is in force, and the two do not go together.
    #[error(
        "Patch {patch} does not go together with patch {other} in process {pid}: {conflict}; revert {other} first, \
         or make one patch of both fixes"
    )]
    Conflict {
        /// The target.
        pid: Pid,
        /// The patch that was to be applied.
        patch: PatchId,
        /// The one that is in force.
        other: PatchId,
        /// Why not.
        conflict: Box<Conflict>,
    },
    /// A redirect is neither the original code nor the patch's jump.
    #[error("The entry of {function} at {address} was changed by something else: {what}")]
    ForeignRedirect {
        /// The function.
        function: String,
        /// Where its redirect is.
        address: RuntimeAddr,
        /// What is there.
        what: String,
    },
    /// No patch has this ID.
    #[error("\"{0}\" is neither a patch ID (8 to 64 hex digits) nor a patch file")]
    BadPatchName(String),
    /// An ID prefix fits several patches.
    #[error("ID {prefix} fits several patches: {}; give more digits", .found.join(", "))]
    AmbiguousId {
        /// What was given.
        prefix: String,
        /// The IDs of the patches.
        found: Vec<String>,
    },
    /// The user asked to stop.
    #[error("Interrupted by a signal before process {0} was changed")]
    Cancelled(Pid),
    /// The patch file was not accepted.
    #[error("Cannot use {path}: {source}")]
    PatchFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: PatchFileError,
    },
    /// A file could not be read.
    #[error("Cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Reading or writing the target's memory failed.
    #[error("Cannot {what} memory of process {pid} at {address}: {source}")]
    Memory {
        /// The target.
        pid: Pid,
        /// "read" or "write".
        what: &'static str,
        /// Where.
        address: RuntimeAddr,
        /// Why.
        source: io::Error,
    },
    /// The target's memory does not hold what was written.
    #[error("Process {pid} does not hold what was written at {address}")]
    ReadBack {
        /// The target.
        pid: Pid,
        /// Where.
        address: RuntimeAddr,
    },
    /// Any other system call failed.
    #[error("{what} failed for {pid}: {source}")]
    System {
        /// The thread or process.
        pid: Pid,
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl LoaderError {
    /// How a user should understand this error.
    pub fn severity(&self) -> Severity {
        use LoaderError as E;
        match self {
            E::Busy { .. }
            | E::Unloaded { .. }
            | E::DoesNotStop { .. }
            | E::Locked(_)
            | E::NoInjectionThread { transient: true, .. } => Severity::Busy,
            E::KernelThread(_)
            | E::LeaderEnded(_)
            | E::Traced { .. }
            | E::WrongBuild { .. }
            | E::SeveralImages { .. }
            | E::TextMapping { .. }
            | E::BytesDiffer { .. }
            | E::DeltaDiffers(_)
            | E::NoRoom { .. }
            | E::Import { .. }
            | E::OutOfReach { .. }
            | E::Decode { .. }
            | E::NoInjectionThread { .. }
            | E::NoSlack(_)
            | E::SharedMemory { .. }
            | E::DamagedRecord { .. }
            | E::RecordVersion { .. }
            | E::Conflict { .. }
            | E::ForeignRedirect { .. }
            | E::AmbiguousId { .. } => Severity::Refused,
            E::BadPatchName(_) | E::PatchFile { .. } | E::Read { .. } => Severity::Input,
            _ => Severity::Failed,
        }
    }

    /// A failed system call on `pid`, told apart by what its error number means there.
    pub(crate) fn system(pid: Pid, what: &'static str, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::ESRCH) => LoaderError::ProcessEnded(pid),
            Some(libc::EPERM | libc::EACCES) => LoaderError::NoPermission(pid),
            _ => LoaderError::System { pid, what, source },
        }
    }
}

fn found_list(name: &str, found: &[BuildId]) -> String {
    if found.is_empty() {
        format!(" and none named {name}")
    } else {
        let list: Vec<String> = found.iter().map(BuildId::to_string).collect();
        format!("; its {name} is {}", list.join(", "))
    }
}
