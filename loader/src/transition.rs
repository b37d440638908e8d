//! From the first stop to the last thread's release: the part of apply and revert that the target feels.

use crate::code::CodeSet;
use crate::error::{LoaderError, Result};
use crate::image::Image;
use crate::maps::MemoryMap;
use crate::memory::RemoteMemory;
use crate::parked::ParkedStacks;
use crate::process::Process;
use crate::quiesce::{ActivenessCheck, Blocker};
use crate::sharers::SharerSearch;
use crate::sys;
use crate::threads::{StopTimes, TaskKinds, ThreadStop};
use crate::unwind::Unwinder;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Pause between attempts, doubled up to [`LONGEST_PAUSE`].
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// What a change of the target's text cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pause {
    /// How long threads were stopped in the attempt that succeeded.
    pub stop: StopTimes,
    /// From the first to the last written byte of text.
    pub transition: Duration,
    /// Attempts, the last one included.
    pub attempts: u32,
}

/// Everything that is needed to change text safely.
pub struct Transition<'a> {
    process: &'a Process,
    memory: &'a RemoteMemory,
    code: &'a CodeSet,
    unwinder: Unwinder,
    parked: ParkedStacks,
    kinds: TaskKinds,
}

impl<'a> Transition<'a> {
    /// Prepares what can be prepared while the target runs.
    pub fn prepare(
        process: &'a Process,
        memory: &'a RemoteMemory,
        images: &[Image],
        code: &'a CodeSet,
    ) -> Result<Self> {
        let mut kinds = TaskKinds::default();
        kinds.learn(process)?;
        let unwinder = Unwinder::new(images, memory);
        let parked = ParkedStacks::prepare(process);
        Ok(Transition { process, memory, code, unwinder, parked, kinds })
    }

    /// Stops the target, makes sure that nobody is inside the code, calls `write`, and lets the target go.
    /// Repeats until that worked or `deadline` has passed. `write` returns how long it changed text.
    pub fn run(&mut self, deadline: Instant, mut write: impl FnMut() -> Result<Duration>) -> Result<Pause> {
        let pid = self.process.pid();
        let mut pause = SHORTEST_PAUSE;
        let mut attempts = 0;
        loop {
            if sys::cancelled() {
                return Err(LoaderError::Cancelled(pid));
            }
            attempts += 1;
            let map = self.process.memory_map()?;
            let obstacle = match self.attempt(&map, &mut write)? {
                Ok((stop, transition)) => return Ok(Pause { stop, transition, attempts }),
                Err(obstacle) => obstacle,
            };
            loop {
                if Instant::now() + pause >= deadline {
                    return Err(LoaderError::Busy { pid, reason: obstacle.reason });
                }
                sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
                if sys::cancelled() || !self.is_still_there(obstacle.blocker.as_ref(), &map) {
                    break;
                }
            }
        }
    }

    fn attempt(
        &mut self,
        map: &MemoryMap,
        write: &mut impl FnMut() -> Result<Duration>,
    ) -> Result<std::result::Result<(StopTimes, Duration), Obstacle>> {
        let pid = self.process.pid();
        let shared = |other| LoaderError::SharedMemory { pid, other };
        let sharers = SharerSearch::new(self.process).map_err(shared)?;
        let stop = match ThreadStop::stop_all(self.process, self.memory, &mut self.kinds) {
            Ok(stop) => stop,
            Err(LoaderError::Busy { reason, .. }) => return Ok(Err(Obstacle { reason, blocker: None })),
            Err(error) => return Err(error),
        };
        sharers.update().map_err(shared)?;
        // The mappings may have changed between the look at them and the stop.
        let text =
            self.process.read_file("maps").map_err(|error| self.process.explain("reading maps", error))?;
        let changed = (text != map.text()).then(|| MemoryMap::parse(text));
        let map = changed.as_ref().unwrap_or(map);
        if let Some(blocker) = self.check().find_blocker(self.process, stop.threads(), map)? {
            drop(stop);
            return Ok(Err(Obstacle { reason: blocker.to_string(), blocker: Some(blocker) }));
        }
        let transition = write()?;
        Ok(Ok((stop.release(), transition)))
    }

    fn check(&self) -> ActivenessCheck<'_> {
        ActivenessCheck {
            code: self.code,
            memory: self.memory,
            unwinder: &self.unwinder,
            parked: &self.parked,
        }
    }

    /// True if the obstacle can be seen from outside still to be there, so that stopping everybody would be in
    /// vain: its thread waits in a system call.
    fn is_still_there(&self, blocker: Option<&Blocker>, map: &MemoryMap) -> bool {
        let Some(tid) = blocker.and_then(|blocker| blocker.tid) else { return false };
        match self.process.blocked_call(tid) {
            Some(call) => self.check().still_shows_hits(map, call.stack),
            None => false,
        }
    }
}

/// Why an attempt was given up.
struct Obstacle {
    reason: String,
    blocker: Option<Blocker>,
}
