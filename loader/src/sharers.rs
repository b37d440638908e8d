//! Processes that run in the target's memory without being threads of it (clone(2), CLONE_VM).

use crate::process::Process;
use crate::sys;
use nix::unistd::Pid;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// More new processes than this during an attempt, and all are looked at again.
const MAX_NEW: i32 = 2000;

/// A search for sharers that can be brought up to date cheaply while the target is stopped.
pub struct SharerSearch {
    target: Pid,
    loadavg: Option<File>,
    newest: Option<i32>,
}

impl SharerSearch {
    /// Looks at all processes. The error is a process that shares the target's memory.
    pub fn new(process: &Process) -> Result<Self, Pid> {
        let loadavg = File::open("/proc/loadavg").ok();
        let newest = newest_pid(loadavg.as_ref());
        let search = SharerSearch { target: process.pid(), loadavg, newest };
        search.look(all_pids())?;
        Ok(search)
    }

    /// Looks at the processes that were made since.
    pub fn update(&self) -> Result<(), Pid> {
        match (self.newest, newest_pid(self.loadavg.as_ref())) {
            (Some(before), Some(now)) if before <= now && now - before < MAX_NEW => {
                self.look(before + 1..=now)
            }
            _ => self.look(all_pids()),
        }
    }

    fn look(&self, pids: impl IntoIterator<Item = i32>) -> Result<(), Pid> {
        let mut pids = pids.into_iter().map(Pid::from_raw);
        pids.find(|pid| self.is_sharer(*pid)).map_or(Ok(()), Err)
    }

    fn is_sharer(&self, pid: Pid) -> bool {
        // Whoever shares the memory may be traced if the target may, so an error means that it is not shared.
        pid != self.target
            && sys::shares_memory(self.target, pid).unwrap_or(false)
            && !is_thread_of(pid, self.target)
    }
}

/// The numbers given out include those of new threads.
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
fn newest_pid(loadavg: Option<&File>) -> Option<i32> {
    let mut text = [0; 128];
    let len = loadavg?.read_at(&mut text, 0).ok()?;
    std::str::from_utf8(&text[..len]).ok()?.split_whitespace().nth(4)?.parse().ok()
}
