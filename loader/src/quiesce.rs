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
use crate::process::Process;
use crate::threads::StoppedThread;
use crate::unwind::{Frame, Unwinder};
use libc::user_regs_struct;
use nix::unistd::Pid;
use std::collections::HashSet;
use std::fmt;

/// Bytes below the stack pointer that a leaf function may use (psABI, section 3.2.2).
const RED_ZONE: u64 = 128;
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
}

/// A stack whose live part is known, because its thread was judged.
type Judged = HashSet<RuntimeAddr>;

impl ActivenessCheck<'_> {
    /// The first obstacle, if there is one. `map` must be the mappings at the time of the stop.
    pub fn find_blocker(
        &self,
        process: &Process,
        threads: &[StoppedThread],
        map: &MemoryMap,
    ) -> Result<Option<Blocker>> {
        let mut buffer = Vec::new();
        let mut judged = Judged::new();
        let mut also = Vec::new();
        for thread in threads {
            let blocker = self.check_thread(process, thread, map, &mut buffer, &mut judged, &mut also)?;
            if blocker.is_some() {
                return Ok(blocker);
            }
        }
        also.retain(|stack| !judged.contains(&stack.start));
        let hit = self.parked.scan(map, self.memory, self.code, &judged, &also);
        Ok(hit.map(|hit| Blocker { tid: None, function: hit.function, what: Finding::Parked(hit.at) }))
    }

    fn check_thread(
        &self,
        process: &Process,
        thread: &StoppedThread,
        map: &MemoryMap,
        buffer: &mut Vec<u8>,
        judged: &mut Judged,
        also: &mut Vec<AddressRange>,
    ) -> Result<Option<Blocker>> {
        let blocker = |function: &str, what| {
            Ok(Some(Blocker { tid: Some(thread.tid), function: function.to_owned(), what }))
        };
        let regs = &thread.regs;
        if let Some(function) = self.code.function_at(RuntimeAddr(regs.rip)) {
            return blocker(function, Finding::Executing);
        }
        let stack = map.find(RuntimeAddr(regs.rsp)).filter(|stack| stack.read);
        let suspect = match stack {
            Some(stack) => {
                let start = RuntimeAddr(regs.rsp.saturating_sub(RED_ZONE) & !7).max(stack.range.start);
                buffer.resize((stack.range.end.0 - start.0) as usize, 0);
                if self.memory.read_available(start, buffer)? != buffer.len() {
                    return blocker(
                        "a replaced function",
                        Finding::Uncertain("its stack is gone".to_owned()),
                    );
                }
                judged.insert(stack.range.start);
                self.code.hits(buffer).next().map(|(_, _, function)| function.to_owned())
            }
            None => Some("a replaced function".to_owned()),
        };
        let suspect = suspect
            .or_else(|| register_hit(self.code, regs))
            .or_else(|| (regs.rsp % 8 != 0).then(|| "a replaced function".to_owned()));
        // Below a signal handler or a coroutine, the thread has frames on its first stack too.
        let first = first_stack(process, thread, map);
        let elsewhere = match (stack, first) {
            (Some(stack), Some(first)) => first.range != stack.range,
            _ => true,
        };
        if suspect.is_none() && !elsewhere {
            return Ok(None);
        }
        match self.unwinder.unwind(regs, self.memory) {
            Ok(frames) => {
                if let Some(at) = frames.iter().position(|frame| self.in_code(frame)) {
                    let function =
                        self.code.function_at(frames[at].instruction).unwrap_or_default().to_owned();
                    let callers = describe(&frames[at + 1..], map);
                    return blocker(&function, Finding::OnStack(callers));
                }
                let visited = frames.iter().filter_map(|frame| map.find(frame.stack_pointer));
                judged.extend(visited.map(|mapping| mapping.range.start));
                also.extend(first.filter(|_| elsewhere).map(|first| first.range));
                Ok(None)
            }
            Err(error) => {
                let function = suspect.unwrap_or_else(|| "a replaced function".to_owned());
                blocker(&function, Finding::Uncertain(error.to_string()))
            }
        }
    }

    fn in_code(&self, frame: &Frame) -> bool {
        self.code.function_at(frame.instruction).is_some()
    }

    /// True if a thread that waits in a system call still shows return addresses into the code. A look from
    /// outside, to be done while the thread is not stopped; no proof of anything.
    pub fn still_shows_hits(&self, map: &MemoryMap, stack_pointer: u64) -> bool {
        let start = RuntimeAddr(stack_pointer.saturating_sub(RED_ZONE) & !7);
        let Some(stack) = map.find(RuntimeAddr(stack_pointer)) else { return false };
        let mut buffer = vec![0; (stack.range.end.0 - start.max(stack.range.start).0) as usize];
        let read = self.memory.read_available(start.max(stack.range.start), &mut buffer).unwrap_or(0);
        self.code.hits(&buffer[..read]).next().is_some()
    }
}

/// Some code keeps a return address in a register for a while (glibc's vfork).
fn register_hit(code: &CodeSet, regs: &user_regs_struct) -> Option<String> {
    let registers = [
        regs.rax, regs.rbx, regs.rcx, regs.rdx, regs.rsi, regs.rdi, regs.rbp, regs.r8, regs.r9, regs.r10,
        regs.r11, regs.r12, regs.r13, regs.r14, regs.r15,
    ];
    registers.iter().find_map(|word| code.function_returned_to(*word)).map(str::to_owned)
}

/// The stack that a thread was started on: the kernel's for the first thread, for others the mapping that
/// holds the thread descriptor, which C libraries put at the top of the stack.
fn first_stack<'a>(process: &Process, thread: &StoppedThread, map: &'a MemoryMap) -> Option<&'a Mapping> {
    if thread.tid == process.pid() {
        map.iter().find(|mapping| mapping.is_special("[stack]"))
    } else {
        map.find(RuntimeAddr(thread.regs.fs_base)).filter(|mapping| mapping.is_private_anonymous())
    }
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
