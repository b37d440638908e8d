//! Processes that run in the target's memory without being threads of it (clone(2), CLONE_VM).

use crate::process::Process;
use crate::sys;
use nix::sys::stat::{FileStat, stat};
use nix::unistd::Pid;

/// More new processes than this during an attempt, and all are looked at again.
const MAX_NEW: i32 = 500;

/// A search for sharers that can be brought up to date cheaply while the target is stopped.
pub struct SharerSearch {
    exe: Option<FileStat>,
    target: Pid,
    newest: Option<i32>,
}

impl SharerSearch {
    /// Looks at all processes. The error is a process that shares the target's memory.
    pub fn new(process: &Process) -> Result<Self, Pid> {
        let newest = newest_pid();
        let exe = stat(format!("/proc/{}/exe", process.pid()).as_str()).ok();
        let search = SharerSearch { exe, target: process.pid(), newest };
        search.look(&all_pids()).map_or(Ok(search), Err)
    }

    /// Looks at the processes that were made since.
    pub fn update(&self) -> Result<(), Pid> {
        let found = match (self.newest, newest_pid()) {
            (Some(before), Some(now)) if before == now => None,
            (Some(before), Some(now)) if before < now && now - before < MAX_NEW => {
                self.look(&(before + 1..=now).collect::<Vec<_>>())
            }
            _ => self.look(&all_pids()),
        };
        found.map_or(Ok(()), Err)
    }

    fn look(&self, pids: &[i32]) -> Option<Pid> {
        pids.iter().map(|pid| Pid::from_raw(*pid)).find(|pid| *pid != self.target && self.is_sharer(*pid))
    }

    fn is_sharer(&self, pid: Pid) -> bool {
        // The executable belongs to the memory: sharers have the same one.
        let Ok(exe) = stat(format!("/proc/{pid}/exe").as_str()) else { return false };
        let same_exe = self.exe.is_none_or(|own| own.st_dev == exe.st_dev && own.st_ino == exe.st_ino);
        same_exe && !is_thread_of(pid, self.target) && sys::shares_memory(self.target, pid).unwrap_or(false)
    }
}

/// Numbers of new processes include those of new threads.
fn is_thread_of(tid: Pid, process: Pid) -> bool {
    std::path::Path::new(&format!("/proc/{process}/task/{tid}")).exists()
}

/// Numbers of all processes.
pub(crate) fn all_pids() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<i32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

/// The process number given out last (proc_loadavg(5)).
fn newest_pid() -> Option<i32> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().nth(4)?.parse().ok()
}
