//! The activeness check: is any thread, or any suspended context, inside code that is about to change?
//!
//! Return addresses are on stacks, so a word that could be one is looked for first, in one bulk read a thread.
//! Words also stay behind in dead slots; where the scan finds any, the strict unwinder decides. If it cannot
//! follow the stack, the answer is "busy".

use crate::address::{AddressRange, RuntimeAddr};
use crate::code::CodeSet;
use crate::error::Result;
use crate::maps::{Mapping, MemoryMap};
use crate::memory::RemoteMemory;
use crate::parked::ParkedStacks;
use crate::threads::StoppedThread;
use crate::unwind::{Frame, Unwinder};
use libc::user_regs_struct;
use nix::unistd::Pid;
use std::collections::HashSet;
use std::fmt;

/// Bytes below the stack pointer that a leaf function may use (psABI, section 3.2.2).
const RED_ZONE: u64 = 128;
/// Stacks that are read by one system call.
const THREADS_AT_ONCE: usize = 256;
/// For messages, where it is not known which.
const SOME_FUNCTION: &str = "a replaced function";
/// Frames of a backtrace that are told to the user.
const SHOWN_FRAMES: usize = 12;

/// Who is in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// The thread, None for a suspended context.
    pub tid: Option<Pid>,
    /// The function.
    pub function: String,
    /// What was found.
    pub what: Finding,
}

/// What was found of a function that is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The thread executes it.
    Executing,
    /// It is on the thread's stack.
    OnStack(Vec<String>),
    /// It may be on the thread's stack, which could not be followed.
    Uncertain(String),
    /// A suspended context may return into it.
    Parked(RuntimeAddr),
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let function = &self.function;
        let tid = self.tid.map_or_else(|| "a suspended context".to_owned(), |tid| format!("thread {tid}"));
        match &self.what {
            Finding::Executing => write!(f, "{tid} executes {function}"),
            Finding::OnStack(frames) => {
                write!(f, "{tid} is inside {function} (called from {})", frames.join(" < "))
            }
            Finding::Uncertain(why) => write!(f, "{tid} may be inside {function}: {why}"),
            Finding::Parked(at) => write!(f, "a parked stack may return into {function} (word at {at})"),
        }
    }
}

/// The check, with everything that is prepared before the stop.
pub struct ActivenessCheck<'a> {
    /// Code that nobody may be inside of.
    pub code: &'a CodeSet,
    /// The target's memory.
    pub memory: &'a RemoteMemory,
    /// Its unwind tables.
    pub unwinder: &'a Unwinder,
    /// Its suspended stacks.
    pub parked: &'a ParkedStacks,
    /// Its first thread.
    pub leader: Pid,
    /// Where that thread's stack begins, 0 if unknown.
    pub start_stack: RuntimeAddr,
}

/// What the check of threads tells the check of suspended stacks.
#[derive(Default)]
struct Progress {
    /// Mappings whose live part is known, because their thread was judged.
    judged: Vec<RuntimeAddr>,
    /// Mappings that have to be scanned whatever they look like.
    also: Vec<AddressRange>,
}

impl ActivenessCheck<'_> {
    /// The first obstacle, if there is one. `map` must be the mappings at the time of the stop; `buffer` takes
    /// the stacks.
    pub fn find_blocker(
        &self,
        threads: &[StoppedThread],
        map: &MemoryMap,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Blocker>> {
        let mut progress = Progress::default();
        for threads in threads.chunks(THREADS_AT_ONCE) {
            let stacks: Vec<Option<&Mapping>> =
                threads.iter().map(|thread| map.find(RuntimeAddr(thread.regs.rsp))).collect();
            let live = |(thread, stack): (&StoppedThread, Option<&Mapping>)| match stack {
                Some(stack) if stack.read => self.live_part(thread.regs.rsp, stack),
                _ => AddressRange::default(),
            };
            let ranges: Vec<AddressRange> = threads.iter().zip(stacks.iter().copied()).map(live).collect();
            buffer.clear();
            let complete = self.memory.read_ranges(&ranges, buffer)?;
            let mut rest = buffer.as_slice();
            for ((thread, stack), range) in threads.iter().zip(stacks).zip(ranges) {
                let (words, behind) = rest.split_at(range.len() as usize);
                rest = behind;
                // If one of the stacks could not be read, all of them have to be followed.
                let words = (complete && !range.is_empty()).then_some(words);
                if let Some(blocker) = self.check_thread(thread, stack, words, map, &mut progress) {
                    return Ok(Some(blocker));
                }
            }
        }
        let Progress { judged, mut also } = progress;
        let judged: HashSet<RuntimeAddr> = judged.into_iter().collect();
        also.retain(|stack| !judged.contains(&stack.start));
        let hit = self.parked.scan(map, self.memory, self.code, &judged, &also);
        Ok(hit.map(|hit| Blocker { tid: None, function: hit.function, what: Finding::Parked(hit.at) }))
    }

    /// Judges one thread: by the words of its stack, if they could be read, else by following the stack.
    fn check_thread(
        &self,
        thread: &StoppedThread,
        stack: Option<&Mapping>,
        words: Option<&[u8]>,
        map: &MemoryMap,
        progress: &mut Progress,
    ) -> Option<Blocker> {
        let blocker =
            |function: &str, what| Blocker { tid: Some(thread.tid), function: function.to_owned(), what };
        let regs = &thread.regs;
        if let Some(function) = self.code.function_at(RuntimeAddr(regs.rip)) {
            return Some(blocker(function, Finding::Executing));
        }
        let suspect = match words {
            _ if !regs.rsp.is_multiple_of(8) => Some(SOME_FUNCTION),
            Some(words) => self.code.hits(words).next().map(|(_, _, function)| function),
            None => Some(SOME_FUNCTION),
        };
        let suspect = suspect.or_else(|| register_hit(self.code, regs));
        progress.judged.extend(stack.map(|stack| stack.range.start));
        if suspect.is_none() && stack.is_some_and(|stack| self.is_first_stack(thread, stack)) {
            return None;
        }
        match self.unwinder.unwind(regs, self.memory) {
            Ok(frames) => {
                if let Some(at) = frames.iter().position(|frame| self.in_code(frame)) {
                    let function = self.code.function_at(frames[at].instruction).unwrap_or_default();
                    return Some(blocker(function, Finding::OnStack(describe(&frames[at + 1..], map))));
                }
                let visited = frames.iter().filter_map(|frame| map.find(frame.stack_pointer));
                progress.judged.extend(visited.map(|mapping| mapping.range.start));
                // Below a coroutine, the thread has frames on its first stack too.
                let first = map.iter().filter(|mapping| self.is_first_stack(thread, mapping));
                progress.also.extend(first.map(|mapping| mapping.range));
                None
            }
            Err(error) => {
                Some(blocker(suspect.unwrap_or(SOME_FUNCTION), Finding::Uncertain(error.to_string())))
            }
        }
    }

    /// True for the stack that a thread was started on: the kernel's for the first thread, for others the
    /// mapping that holds the thread descriptor, which C libraries put at the top of the stack.
    fn is_first_stack(&self, thread: &StoppedThread, mapping: &Mapping) -> bool {
        if thread.tid == self.leader {
            mapping.is_special("[stack]")
        } else {
            mapping.range.contains(RuntimeAddr(thread.regs.fs_base)) && mapping.is_private_anonymous()
        }
    }

    /// From a stack pointer, less the red zone, to the end of the stack.
    fn live_part(&self, stack_pointer: u64, stack: &Mapping) -> AddressRange {
        let start = RuntimeAddr(stack_pointer.saturating_sub(RED_ZONE) & !7).max(stack.range.start);
        // Arguments and environment lie above the first thread's stack.
        let is_inside = start < self.start_stack && stack.range.contains(self.start_stack);
        AddressRange { start, end: if is_inside { self.start_stack } else { stack.range.end } }
    }

    /// True if a thread that waits in a system call still shows return addresses into the code. A look from
    /// outside, to be done while the thread is not stopped; no proof of anything.
    pub fn still_shows_hits(&self, map: &MemoryMap, stack_pointer: u64) -> bool {
        let Some(stack) = map.find(RuntimeAddr(stack_pointer)) else { return false };
        let mut words = Vec::new();
        self.memory.read_ranges(&[self.live_part(stack_pointer, stack)], &mut words).unwrap_or(false)
            && self.code.hits(&words).next().is_some()
    }

    fn in_code(&self, frame: &Frame) -> bool {
        self.code.function_at(frame.instruction).is_some()
    }
}

/// Some code keeps a return address in a register for a while (glibc's vfork).
fn register_hit<'a>(code: &'a CodeSet, regs: &user_regs_struct) -> Option<&'a str> {
    let registers = [
        regs.rax, regs.rbx, regs.rcx, regs.rdx, regs.rsi, regs.rdi, regs.rbp, regs.r8, regs.r9, regs.r10,
        regs.r11, regs.r12, regs.r13, regs.r14, regs.r15,
    ];
    registers.iter().find_map(|word| code.function_returned_to(*word))
}

fn describe(frames: &[Frame], map: &MemoryMap) -> Vec<String> {
    let describe = |frame: &Frame| match map.find(frame.instruction) {
        Some(mapping) => {
            let offset = frame.instruction.0 - mapping.range.start.0 + mapping.offset;
            let name = mapping.file_name().unwrap_or_else(|| "anonymous".to_owned());
            format!("{name}+{offset:#x}")
        }
        None => frame.instruction.to_string(),
    };
    frames.iter().take(SHOWN_FRAMES).map(describe).collect()
}
