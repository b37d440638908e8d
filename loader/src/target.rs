//! A process as the loader works on it: locked, its memory open, its images read.

use crate::address::{AddressRange, RuntimeAddr};
use crate::error::{LoaderError, Result};
use crate::image::Image;
use crate::inject::{Injector, SystemCall, Workers};
use crate::lock::TargetLock;
use crate::maps::{Mapping, MemoryMap};
use crate::memory::RemoteMemory;
use crate::process::Process;
use crate::record::{self, Header, RegionState};
use crate::slack::{self, Slack};
use crate::threads::{TaskKinds, ThreadStop, is_ending};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long after the end of one of its threads a process may take to end.
const THREADS_END: Duration = Duration::from_millis(200);

/// A process that this loader may change.
pub struct Target {
    /// The process.
    pub process: Process,
    /// Its memory.
    pub memory: RemoteMemory,
    /// Its mappings when it was opened.
    pub map: MemoryMap,
    /// Its images.
    pub images: Vec<Image>,
    _lock: Option<TargetLock>,
}

impl Target {
    /// Opens a process to look at it.
    pub fn open(pid: i32) -> Result<Self> {
        let process = Process::open(pid)?;
        let map = process.memory_map()?;
        let memory = RemoteMemory::open(&process)?;
        let images = Image::all(&map, &memory);
        Ok(Target { process, memory, map, images, _lock: None })
    }

    /// Opens a process to find out whether it could be changed now.
    pub fn open_untraced(pid: i32) -> Result<Self> {
        let target = Self::open(pid)?;
        refuse_traced(&target.process)?;
        Ok(target)
    }

    /// Opens a process to change it: takes the lock, and cleans up behind an interrupted loader.
    pub fn open_locked(pid: i32, deadline: Instant) -> Result<Self> {
        let process = Process::open(pid)?;
        let lock = TargetLock::take(&process, deadline)?;
        let map = process.memory_map()?;
        refuse_traced(&process)?;
        let memory = RemoteMemory::open_writable(&process)?;
        let images = Image::all(&map, &memory);
        let mut target = Target { process, memory, map, images, _lock: Some(lock) };
        target.clean_slack(deadline).map_err(|error| target.explain(error))?;
        Ok(target)
    }

    /// The reason behind an error, if the process ended or executed another program meanwhile: that shows in
    /// many ways, as a thread that is gone or as bytes that are others.
    pub(crate) fn explain(&self, error: LoaderError) -> LoaderError {
        let pid = self.process.pid();
        let thread = match &error {
            LoaderError::ProcessEnded(ended) if *ended != pid => Some(*ended),
            _ => None,
        };
        // A killed thread is gone a little earlier than its process.
        let deadline = Instant::now() + THREADS_END;
        while thread.is_some() && !self.memory.is_gone() && Instant::now() < deadline {
            sleep(Duration::from_millis(1));
        }
        match (self.memory.is_gone(), thread) {
            (true, _) => self.process.without_memory(),
            (false, Some(tid)) => {
                LoaderError::Busy { pid, reason: format!("thread {tid} ended while it was looked at") }
            }
            (false, None) => self.explain_unloaded(error),
        }
    }

    /// The reason behind an error that shows at an address where an image was unloaded, or loaded anew, since the target
    /// was opened.
    fn explain_unloaded(&self, error: LoaderError) -> LoaderError {
        let (address, was_read) = match &error {
            LoaderError::Memory { address, what, .. } => (*address, *what == "read"),
            LoaderError::BytesDiffer { address, .. }
            | LoaderError::ForeignRedirect { address, .. }
            | LoaderError::TextMapping { address, .. }
            | LoaderError::ReadBack { address, .. } => (*address, false),
            _ => return error,
        };
        let Ok(map) = self.process.memory_map() else { return error };
        let [before, now] = [self.map.find(address), map.find(address)];
        let Some(image) = before.or(now).and_then(Mapping::file_name) else { return error };
        let file = |mapping: Option<&Mapping>| mapping.map(|it| (it.offset, it.path().map(Path::to_owned)));
        // What could not be read was not there for a moment.
        let is_back = was_read && self.memory.read(address, &mut [0]).is_ok();
        if file(before) != file(now) || is_back {
            return LoaderError::Unloaded { pid: self.process.pid(), image };
        }
        error
    }

    /// All regions of loaders in the process.
    pub fn regions(&self) -> Result<Vec<Header>> {
        record::find_all(&self.map, &self.memory)
    }

    /// The regions that hold patches.
    pub fn filled_regions(&self) -> Result<impl Iterator<Item = Header> + use<>> {
        Ok(self.regions()?.into_iter().filter(|region| region.state == RegionState::Filled))
    }

    /// Reads the mappings again.
    pub fn refresh_map(&mut self) -> Result<()> {
        self.map = self.process.memory_map()?;
        Ok(())
    }

    /// A place to make system calls from, in the executable if it has one: a library may be unloaded by another thread
    /// while one makes the calls.
    fn slack(&self) -> Result<Slack> {
        let headers = self.process.program_headers();
        let is_executable = |image: &&Image| headers.is_some_and(|at| image.extent().contains(at));
        let preferred = self.images.iter().find(is_executable);
        let found = slack::search(&self.map, &self.images, preferred, &self.memory);
        found.free.first().copied().ok_or(LoaderError::NoSlack(self.process.pid()))
    }

    /// Maps `executable_len` bytes readable and executable at `start`, and `writable_len` bytes readable and
    /// writable behind them. Returns how long a thread was stopped for it.
    pub(crate) fn map_region(
        &mut self,
        start: RuntimeAddr,
        executable_len: u64,
        writable_len: u64,
        deadline: Instant,
    ) -> Result<Duration> {
        let region = AddressRange::sized(start, executable_len + writable_len);
        // One mapping takes the whole range, so that nothing can come between the parts.
        let mut calls = vec![mmap(region, libc::PROT_READ | libc::PROT_EXEC, libc::MAP_FIXED_NOREPLACE)];
        calls.extend(writable_part(start.plus(executable_len), writable_len));
        self.make_calls(region, &calls, deadline)
    }

    /// Turns the end of an unused region into a writable part.
    pub(crate) fn split_region(
        &mut self,
        region: AddressRange,
        writable_len: u64,
        deadline: Instant,
    ) -> Result<Duration> {
        let start = RuntimeAddr(region.end.0 - writable_len);
        let calls: Vec<SystemCall> = writable_part(start, writable_len).into_iter().collect();
        self.make_calls(region, &calls, deadline)
    }

    /// Its threads, to work for the loader.
    pub(crate) fn workers(&self) -> Workers<'_> {
        Workers { process: &self.process, memory: &self.memory, map: &self.map }
    }

    fn make_calls(
        &mut self,
        region: AddressRange,
        calls: &[SystemCall],
        deadline: Instant,
    ) -> Result<Duration> {
        let injector = Injector { workers: self.workers(), slack: self.slack()?, deadline };
        // Whatever came of the calls, what they left is marked before the marker in the slack goes.
        let outcome = injector.run(region, calls, &|| mark(&self.process, &self.memory, region));
        self.refresh_map()?;
        outcome
    }

    /// Removes what an interrupted loader left in the slack, once no thread can be running there.
    fn clean_slack(&mut self, deadline: Instant) -> Result<()> {
        let mut kinds = TaskKinds::default();
        loop {
            let left = slack::search(&self.map, &self.images, None, &self.memory).left;
            if left.is_empty() {
                return Ok(());
            }
            let stop = ThreadStop::stop_all(&self.process, &self.memory, &mut kinds)?;
            let is_inside = |slack: &Slack| {
                let inside = |rip| slack.range().contains(RuntimeAddr(rip));
                stop.threads().iter().any(|thread| inside(thread.regs.rip))
            };
            let mut waiting = false;
            for (slack, region) in left {
                if is_inside(&slack) {
                    waiting = true;
                    continue;
                }
                mark(&self.process, &self.memory, region)?;
                slack.vacate(&self.memory)?;
            }
            drop(stop);
            self.refresh_map()?;
            if waiting && Instant::now() >= deadline {
                return Err(LoaderError::Busy {
                    pid: self.process.pid(),
                    reason: "a thread is still on its way back from an interrupted command".to_owned(),
                });
            }
            sleep(Duration::from_millis(1));
        }
    }
}

/// A debugger or another tracer is in the way of a stop; found out before anything is changed.
fn refuse_traced(process: &Process) -> Result<()> {
    for tid in process.tasks().map_err(|error| process.explain("listing threads", error))? {
        // A thread that has ended meanwhile is not traced.
        let tracer = process.task_status(tid).map_or(0, |status| status.tracer);
        // This very thread is the tracer where an earlier attempt gave up waiting.
        if tracer != 0 && tracer != nix::unistd::gettid().as_raw() && !is_ending(tracer) {
            return Err(LoaderError::Traced { pid: process.pid(), tracer });
        }
    }
    Ok(())
}

fn mmap(range: AddressRange, protection: i32, placement: i32) -> SystemCall {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | placement;
    SystemCall {
        name: "mmap",
        number: libc::SYS_mmap,
        arguments: [range.start.0, range.len(), protection as u64, flags as u64, u64::MAX, 0],
    }
}

fn writable_part(start: RuntimeAddr, len: u64) -> Option<SystemCall> {
    let range = AddressRange::sized(start, len);
    // Replaces the end of the region's own mapping, and nothing else.
    (len > 0).then(|| mmap(range, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_FIXED))
}

/// Writes an empty record at the start of `region` if it was mapped and holds no record yet.
fn mark(process: &Process, memory: &RemoteMemory, region: AddressRange) -> Result<()> {
    let map = process.memory_map()?;
    let is_ours = |mapping: &&crate::maps::Mapping| {
        let executable = mapping.read && mapping.execute && !mapping.write;
        mapping.is_private_anonymous() && executable
    };
    let Some(mapping) = map.find(region.start).filter(is_ours) else { return Ok(()) };
    if Header::read(region.start, memory)?.is_some() || memory.read_u64(region.start)? != 0 {
        return Ok(());
    }
    let executable = AddressRange { start: region.start, end: region.end.min(mapping.range.end) };
    let mut header = Header::empty(executable);
    header.writable_len = region.end.0 - executable.end.0;
    memory.write_at_once(region.start, &header.to_bytes())
}
