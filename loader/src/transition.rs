//! From the first stop to the last thread's release: the part of apply and revert that the target feels.

use crate::address::RuntimeAddr;
use crate::code::CodeSet;
use crate::error::{LoaderError, Result};
use crate::image::Image;
use crate::maps::{MapsFile, MemoryMap};
use crate::memory::RemoteMemory;
use crate::parked::ParkedStacks;
use crate::process::Process;
use crate::quiesce::{ActivenessCheck, Blocker};
use crate::record::Header;
use crate::sharers::SharerSearch;
use crate::sys::{self, Urgency};
use crate::threads::{StopTimes, TaskKinds, ThreadStop};
use crate::unwind::Unwinder;
use nix::unistd::Pid;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Pause between attempts, doubled up to [`LONGEST_PAUSE`].
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// What most waiting threads have on their stack at most, in bytes.
const USUAL_STACK: usize = 8192;

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
    image: Option<&'a Image>,
    unwinder: Unwinder,
    parked: ParkedStacks,
    maps: MapsFile,
    kinds: TaskKinds,
    start_stack: RuntimeAddr,
    /// Room for the threads' stacks, written to beforehand: page faults of the loader's own lengthen the stop.
    stacks: Vec<u8>,
}

impl<'a> Transition<'a> {
    /// Prepares what can be prepared while the target runs. `patches` are those in the process, `code` is that of `image`, if it is known.
    pub fn prepare(
        process: &'a Process,
        memory: &'a RemoteMemory,
        (images, patches): (&[Image], &[Header]),
        code: &'a CodeSet,
        image: Option<&'a Image>,
    ) -> Result<Self> {
        let mut kinds = TaskKinds::default();
        kinds.learn(process)?;
        let unwinder = Unwinder::new(images, patches, memory);
        let parked = ParkedStacks::prepare(process);
        let maps = process.maps_file()?;
        let leader = process.task_stat(process.pid());
        let start_stack = RuntimeAddr(leader.map_or(0, |stat| stat.start_stack));
        let stacks = vec![1; kinds.len() * USUAL_STACK];
        Ok(Transition { process, memory, code, image, unwinder, parked, maps, kinds, start_stack, stacks })
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
            let map = self.process.read_map(&mut self.maps)?;
            self.refuse_unloaded()?;
            let obstacle = match self.attempt(&map, &mut write) {
                Ok(Ok((stop, transition))) => return Ok(Pause { stop, transition, attempts }),
                Ok(Err(obstacle)) => obstacle,
                // A child of vfork(2) goes its own way soon.
                Err(error @ LoaderError::SharedMemory { .. }) => Obstacle::Shared(error),
                Err(error) => return Err(error),
            };
            loop {
                if Instant::now() + pause >= deadline {
                    return Err(obstacle.into_error(pid));
                }
                sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
                if sys::cancelled() || !self.is_still_there(&obstacle, &map) {
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
        let _urgency = Urgency::take();
        let stop = match ThreadStop::stop_all(self.process, self.memory, &mut self.kinds) {
            Ok(stop) => stop,
            Err(error @ LoaderError::DoesNotStop { .. }) => return Ok(Err(Obstacle::Unstoppable(error))),
            Err(error) => return Err(error),
        };
        sharers.update().map_err(shared)?;
        // The mappings may have changed between the look at them and the stop.
        let text = self.maps.read().map_err(|error| self.process.explain("reading maps", error))?;
        let changed = (text != map.text()).then(|| MemoryMap::parse(text.to_vec()));
        if changed.is_some() {
            self.refuse_unloaded()?;
        }
        let map = changed.as_ref().unwrap_or(map);
        let mut stacks = std::mem::take(&mut self.stacks);
        let found = self.check().find_blocker(stop.threads(), map, &mut stacks);
        self.stacks = stacks;
        if let Some(blocker) = found? {
            drop(stop);
            return Ok(Err(Obstacle::Active(blocker)));
        }
        let transition = write()?;
        Ok(Ok((stop.release(), transition)))
    }

    /// Another image may lie where this one was: its text may even begin alike.
    fn refuse_unloaded(&self) -> Result<()> {
        match self.image {
            Some(image) if !image.is_loaded(self.memory) => {
                Err(LoaderError::Unloaded { pid: self.process.pid(), image: image.name.clone() })
            }
            _ => Ok(()),
        }
    }

    fn check(&self) -> ActivenessCheck<'_> {
        ActivenessCheck {
            code: self.code,
            memory: self.memory,
            unwinder: &self.unwinder,
            parked: &self.parked,
            leader: self.process.pid(),
            start_stack: self.start_stack,
        }
    }

    /// True if the obstacle can be seen from outside still to be there, so that stopping everybody would be in
    /// vain: its thread waits in a system call.
    fn is_still_there(&self, obstacle: &Obstacle, map: &MemoryMap) -> bool {
        match obstacle {
            Obstacle::Unstoppable(LoaderError::DoesNotStop { tid, state, .. }) => {
                self.process.task_stat(*tid).is_ok_and(|stat| char::from(stat.state) == *state)
            }
            Obstacle::Active(Blocker { tid: Some(tid), .. }) => self
                .process
                .blocked_call(*tid)
                .is_some_and(|call| self.check().still_shows_hits(map, call.stack)),
            _ => false,
        }
    }
}

/// Why an attempt was given up.
enum Obstacle {
    /// A thread did not stop.
    Unstoppable(LoaderError),
    /// Another process runs in the same memory.
    Shared(LoaderError),
    /// The activeness check found something.
    Active(Blocker),
}

impl Obstacle {
    fn into_error(self, pid: Pid) -> LoaderError {
        match self {
            Obstacle::Unstoppable(error) | Obstacle::Shared(error) => error,
            Obstacle::Active(blocker) => LoaderError::Busy { pid, reason: blocker.to_string() },
        }
    }
}
