//! Stacks that no thread runs on at the moment: coroutines, and the contexts that wait beneath them.
//!
//! Such stacks are recognised by their shape: private anonymous memory directly above an inaccessible guard
//! page. On a suspended stack it is not known where the live part begins, so all of it is scanned, and every
//! word that is the return address of a call in replaced code counts.

use crate::address::{AddressRange, PAGE, RuntimeAddr};
use crate::code::CodeSet;
use crate::maps::{Mapping, MemoryMap};
use crate::memory::RemoteMemory;
use crate::process::Process;
use nix::fcntl::OFlag;
use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Longer mappings are not stacks of coroutines.
const MAX_STACK: u64 = 16 << 20;
/// Present, or swapped out (Documentation/admin-guide/mm/pagemap.rst).
const PAGE_IN_USE: u64 = 3 << 62;
/// Offset of `tid` in glibc's `struct pthread`: 0 once the thread has ended, negative once it was joined
/// (`INVALID_TD_P` of nptl/pthreadP.h).
const PTHREAD_TID: u64 = 720;
/// Thread descriptors point to themselves here (`tcb` and `self` of `tcbhead_t`).
const PTHREAD_SELF: [u64; 2] = [0, 16];
/// A thread descriptor lies at most this far below its stack's end, static thread storage between them.
const MAX_DESCRIPTOR_DISTANCE: u64 = 64 * 1024;

/// A return address into replaced code, on a suspended stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedHit {
    /// Where the word is.
    pub at: RuntimeAddr,
    /// The function that would go on.
    pub function: String,
}

/// Looks through suspended stacks.
pub struct ParkedStacks {
    pagemap: Option<File>,
}

impl ParkedStacks {
    /// Opens what is needed during the stop.
    pub fn prepare(process: &Process) -> Self {
        ParkedStacks { pagemap: process.open_file("pagemap", OFlag::O_RDONLY).ok() }
    }

    /// The first hit on any suspended stack. `current` are the mappings that stopped threads run on, and
    /// others that have been judged; `also` are mappings to be scanned whatever their shape.
    pub fn scan(
        &self,
        map: &MemoryMap,
        memory: &RemoteMemory,
        code: &CodeSet,
        current: &HashSet<RuntimeAddr>,
        also: &[AddressRange],
    ) -> Option<ParkedHit> {
        let mut buffer = Vec::new();
        let shaped = stack_shaped(map).filter(|stack| !current.contains(&stack.start));
        shaped.filter(|stack| !is_malloc_arena(*stack, memory)).chain(also.iter().copied()).find_map(
            |stack| {
                self.used_parts(stack)
                    .into_iter()
                    .find_map(|part| scan_part(part, memory, code, &mut buffer))
                    .filter(|_| !belongs_to_ended_thread(stack, memory))
            },
        )
    }

    /// The pages of a mapping that hold anything.
    fn used_parts(&self, stack: AddressRange) -> Vec<AddressRange> {
        let mut entries = vec![0; (stack.len() / PAGE * 8) as usize];
        let offset = stack.start.0 / PAGE * 8;
        let known =
            self.pagemap.as_ref().is_some_and(|file| file.read_exact_at(&mut entries, offset).is_ok());
        if !known {
            return vec![stack];
        }
        let mut parts: Vec<AddressRange> = Vec::new();
        for (index, entry) in entries.chunks_exact(8).enumerate() {
            let entry = u64::from_le_bytes(entry.try_into().unwrap_or_default());
            if entry & PAGE_IN_USE == 0 {
                continue;
            }
            let page = AddressRange::sized(stack.start.plus(index as u64 * PAGE), PAGE);
            match parts.last_mut() {
                Some(last) if last.end == page.start => last.end = page.end,
                _ => parts.push(page),
            }
        }
        parts
    }
}

/// Mappings that look like stacks with a guard page.
fn stack_shaped(map: &MemoryMap) -> impl Iterator<Item = AddressRange> {
    let is_stack = |below: &Mapping, mapping: &Mapping| {
        below.is_guard()
            && below.range.end == mapping.range.start
            && mapping.is_private_anonymous()
            && mapping.read
            && mapping.write
            && mapping.range.len() <= MAX_STACK
    };
    map.iter()
        .zip(map.iter().skip(1))
        .filter(move |(below, mapping)| is_stack(below, mapping))
        .map(|(_, mapping)| mapping.range)
}

fn scan_part(
    part: AddressRange,
    memory: &RemoteMemory,
    code: &CodeSet,
    buffer: &mut Vec<u8>,
) -> Option<ParkedHit> {
    buffer.resize(part.len() as usize, 0);
    let read = memory.read_available(part.start, buffer).unwrap_or(0);
    code.hits(&buffer[..read]).find(|(_, word, _)| follows_call(*word, memory)).map(
        |(offset, _, function)| ParkedHit {
            at: part.start.plus(offset as u64),
            function: function.to_owned(),
        },
    )
}

/// True if the bytes before `address` can be a call instruction that ends there.
fn follows_call(address: u64, memory: &RemoteMemory) -> bool {
    let mut before = [0; 7];
    let start = RuntimeAddr(address.wrapping_sub(before.len() as u64));
    // What cannot be read cannot be ruled out.
    memory.read(start, &mut before).is_err() || ends_with_call(before)
}

/// True if `bytes` can end with a call: `e8 rel32`, or `ff /2` in any of its lengths (Intel SDM volume 2).
fn ends_with_call(bytes: [u8; 7]) -> bool {
    let is_indirect = |len: usize, expected: fn(u8) -> bool| {
        let at = bytes.len() - len;
        bytes[at] == 0xff && bytes[at + 1] & 0x38 == 0x10 && expected(bytes[at + 1])
    };
    let direct = bytes[bytes.len() - 5] == 0xe8;
    let needs_sib = |modrm: u8| modrm & 7 == 4;
    direct
        || is_indirect(2, |modrm| modrm >= 0xc0 || (modrm < 0x40 && modrm & 7 != 4 && modrm & 7 != 5))
        || is_indirect(3, |modrm| modrm < 0x80)
        || is_indirect(4, |modrm| (0x40..0x80).contains(&modrm))
        || is_indirect(6, |modrm| modrm < 0x40 || (0x80..0xc0).contains(&modrm))
        || is_indirect(7, needs_sib as fn(u8) -> bool)
}

/// True for a heap of glibc's malloc, which often lies directly above the inaccessible rest of another one: it
/// starts with a `struct heap_info` (malloc/arena.c) that tells how much of it is accessible.
fn is_malloc_arena(mapping: AddressRange, memory: &RemoteMemory) -> bool {
    const HEAP_MAX_SIZE: u64 = 64 << 20;
    const MPROTECT_SIZE: u64 = 24;
    mapping.start.0.is_multiple_of(HEAP_MAX_SIZE)
        && memory.read_u64(mapping.start.plus(MPROTECT_SIZE)).is_ok_and(|len| len == mapping.len())
}

/// True for a stack that glibc keeps for the next thread: nothing on it is going to be returned to.
fn belongs_to_ended_thread(stack: AddressRange, memory: &RemoteMemory) -> bool {
    let top = stack.len().min(MAX_DESCRIPTOR_DISTANCE);
    let start = RuntimeAddr(stack.end.0 - top);
    let Ok(bytes) = memory.read_vec(start, top) else { return false };
    let word = |offset: u64| {
        let bytes = bytes.get(offset as usize..offset as usize + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    // Descriptors are aligned to cache lines.
    (0..top).step_by(64).any(|offset| {
        let is_descriptor = PTHREAD_SELF.iter().all(|field| word(offset + field) == Some(start.0 + offset));
        is_descriptor && word(offset + PTHREAD_TID).is_some_and(|tid| tid as i32 <= 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(bytes: &[u8]) -> bool {
        let mut padded = [0x90; 7];
        padded[7 - bytes.len()..].copy_from_slice(bytes);
        ends_with_call(padded)
    }

    #[test]
    fn calls_of_every_length() {
        assert!(ends(&[0xe8, 1, 2, 3, 4]));
        assert!(ends(&[0xff, 0xd0])); // call *%rax
        assert!(ends(&[0xff, 0x13])); // call *(%rbx)
        assert!(ends(&[0xff, 0x14, 0x24])); // call *(%rsp)
        assert!(ends(&[0xff, 0x50, 0x08])); // call *8(%rax)
        assert!(ends(&[0xff, 0x54, 0x24, 0x08])); // call *8(%rsp)
        assert!(ends(&[0xff, 0x15, 1, 2, 3, 4])); // call *disp(%rip)
        assert!(ends(&[0xff, 0x90, 1, 2, 3, 4])); // call *disp32(%rax)
        assert!(ends(&[0xff, 0x94, 0x24, 1, 2, 3, 4])); // call *disp32(%rsp)
        assert!(ends(&[0xff, 0x14, 0xc5, 1, 2, 3, 4])); // call *disp32(,%rax,8)
    }

    #[test]
    fn other_instructions_are_no_calls() {
        assert!(!ends(&[0xe9, 1, 2, 3, 4]));
        assert!(!ends(&[0xff, 0xe0])); // jmp *%rax
        assert!(!ends(&[0x48, 0x89, 0xc7]));
    }
}
