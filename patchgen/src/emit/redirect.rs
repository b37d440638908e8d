//! Where the jump at a function's entry goes.
//!
//! The jump is one write within one page, overwrites whole instructions or padding, and no branch leads into its
//! bytes. It stands behind `endbr64` where that is possible, so that indirect branches still land on it.

use crate::code::{Program, instructions};
use crate::diff::data_pointers;
use crate::image::{Access, FunctionId, Pointer, padding_len};
use crate::report::RefusalKind;
use iced_x86::{FlowControl, Mnemonic, RflagsBits};
use patchfile::format::{NEAR_JUMP_LEN, PAGE_SIZE, SHORT_JUMP_LEN};
use patchfile::{LinkAddr, Redirect, RedirectKind};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// `endbr64` (SDM, volume 2).
const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];

/// How far a short jump reaches, back and forth from its end.
const SHORT_REACH: Range<i64> = -128..128;

/// References into the middle of functions.
#[derive(Default)]
pub(super) struct InteriorTargets {
    /// Addresses behind the entry and in the padding behind the body, by function, from anywhere.
    targets: BTreeMap<FunctionId, BTreeSet<u64>>,
    /// Functions that somebody else leads into: other code, a symbol, or a table of labels.
    entered: BTreeMap<FunctionId, u64>,
}

impl InteriorTargets {
    /// Where other code or data leads into the middle of a function, if anywhere.
    pub(super) fn entered(&self, id: FunctionId) -> Option<u64> {
        self.entered.get(&id).copied()
    }
}

/// Collects references into the middle of `functions`, from anywhere in the program.
pub(super) fn interior_targets(
    program: &Program<'_>,
    functions: impl Iterator<Item = FunctionId>,
) -> InteriorTargets {
    let wanted: BTreeSet<FunctionId> = functions.collect();
    let mut ranges: Vec<(Range<u64>, u64, FunctionId)> = Vec::new();
    for id in &wanted {
        for (part, range) in program.image.function(*id).parts.iter().enumerate() {
            let first = if part == 0 { range.start + 1 } else { range.start };
            // Redirects may reach into the padding behind the body.
            ranges.push((first..range.end + NEAR_JUMP_LEN as u64, range.end, *id));
        }
    }
    ranges.sort_by_key(|(range, ..)| range.start);
    let mut found = InteriorTargets::default();
    let mut add = |target: u64, user: Option<FunctionId>| {
        let after = ranges.partition_point(|(range, ..)| range.start <= target);
        for (range, end, id) in ranges[..after].iter().rev().take(2) {
            if range.contains(&target) {
                found.targets.entry(*id).or_default().insert(target);
                if user != Some(*id) && target < *end {
                    found.entered.entry(*id).or_insert(target);
                }
            }
        }
    };
    // Other functions and labels may begin inside: somebody may call them.
    for (range, owner, _) in &program.image.code_index {
        add(range.start, Some(*owner));
    }
    for label in &program.image.labels {
        add(*label, None);
    }
    let mut tables: BTreeSet<u64> = BTreeSet::new();
    for (index, code) in program.code.iter().enumerate() {
        for reference in &code.references {
            add(reference.target, Some(FunctionId(index as u32)));
        }
        for table in code.tables.iter().filter(|table| table.absolute) {
            tables.extend((0..table.entries.len() as u64).map(|entry| table.address + 8 * entry));
        }
    }
    for (at, pointer) in data_pointers(&program.image, 0..u64::MAX) {
        if let (Pointer::Address(address), false) = (pointer, tables.contains(&at)) {
            add(address, None);
        }
    }
    found
}

/// A place and form for the redirect of one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Address of the jump.
    pub(super) site: u64,
    /// The bytes that it overwrites.
    pub(super) original: Vec<u8>,
    /// Where the near jump stands if the one at the entry is short.
    pub(super) island: Option<(u64, Vec<u8>)>,
    /// A branch of the function leads to the site or to the `endbr64` before it.
    pub(super) back_edge: bool,
}

impl Plan {
    /// The bytes that the redirect writes.
    pub(super) fn writes(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        let site = self.site..self.site + self.original.len() as u64;
        let island = self.island.iter().map(|(island, original)| *island..*island + original.len() as u64);
        std::iter::once(site).chain(island)
    }

    pub(super) fn redirect(&self, trampoline: usize) -> Redirect {
        let kind = match &self.island {
            None => RedirectKind::Near,
            Some((island, original)) => {
                RedirectKind::Short { island: LinkAddr(*island), original: original.clone() }
            }
        };
        Redirect {
            site: LinkAddr(self.site),
            kind,
            original: self.original.clone(),
            trampoline,
            back_edge: self.back_edge,
        }
    }
}

fn in_one_page(address: u64, len: usize) -> bool {
    address % PAGE_SIZE + len as u64 <= PAGE_SIZE
}

/// Finds a place for the redirect of `id`. `taken` are the bytes that other redirects write.
pub(super) fn plan(
    program: &Program<'_>,
    id: FunctionId,
    entries: &InteriorTargets,
    taken: &[Range<u64>],
) -> Result<Plan, (RefusalKind, String)> {
    let function = program.image.function(id);
    let body = function.parts[0].clone();
    let mut targets: BTreeSet<u64> = entries.targets.get(&id).cloned().unwrap_or_default();
    let own = program.code(id).branch_targets.iter().filter(|(part, _)| *part == 0);
    targets.extend(own.map(|(_, offset)| body.start + u64::from(*offset)));

    let bytes = program.image.bytes(body.clone()).unwrap_or_default();
    let sites: &[u64] = if bytes.starts_with(&ENDBR64) { &[4, 0] } else { &[0] };
    let free =
        if falls_through(program, &body) { body.end..body.end } else { padding_after(program, body.end) };
    let mut into_entry = None;
    for (len, short) in [(NEAR_JUMP_LEN, false), (SHORT_JUMP_LEN, true)] {
        for site in sites.iter().map(|offset| body.start + offset) {
            let end = site + len as u64;
            if site >= body.end || end > free.end || !in_one_page(site, len) {
                continue;
            }
            if let Some(target) = targets.range(site + 1..end).next() {
                into_entry = Some(*target);
                continue;
            }
            let island = if short {
                match find_island(program, &body, site, taken) {
                    Some(island) => Some(island),
                    None => continue,
                }
            } else {
                None
            };
            let original = program.image.bytes(site..end).unwrap_or_default().to_vec();
            let back_edge = targets.range(body.start..=site).next().is_some();
            if back_edge && reads_flags(program, site..body.end) {
                let detail = "a loop begins at its entry and needs the flags, which the trampoline changes";
                return Err((RefusalKind::EntryNotMovable, detail.to_owned()));
            }
            return Ok(Plan { site, original, island, back_edge });
        }
    }
    if let Some(target) = into_entry {
        let detail =
            format!("a branch leads to {target:#x}, into the bytes that the redirect would overwrite");
        return Err((RefusalKind::BranchIntoEntry, detail));
    }
    let detail = format!("{} bytes with padding: no room for a jump within one page", free.end - body.start);
    Err((RefusalKind::EntryTooShort, detail))
}

/// True if code reads flags that it has not written before.
fn reads_flags(program: &Program<'_>, code: Range<u64>) -> bool {
    /// The arithmetic flags that `cmp` writes.
    const ALL: u32 =
        RflagsBits::OF | RflagsBits::SF | RflagsBits::ZF | RflagsBits::AF | RflagsBits::CF | RflagsBits::PF;
    let mut written = 0;
    for instruction in instructions(&program.image, code) {
        if instruction.rflags_read() & ALL & !written != 0 {
            return true;
        }
        written |= instruction.rflags_modified();
        if written & ALL == ALL || instruction.flow_control() != FlowControl::Next {
            // Calls and returns end the life of flags; a jump that reads none may lead to code that does.
            return written & ALL != ALL
                && matches!(
                    instruction.flow_control(),
                    FlowControl::UnconditionalBranch
                        | FlowControl::ConditionalBranch
                        | FlowControl::IndirectBranch
                );
        }
    }
    false
}

/// True if code may run past the end of `part`: its last instruction is not one that never goes on.
fn falls_through(program: &Program<'_>, part: &Range<u64>) -> bool {
    let last = instructions(&program.image, part.clone()).into_iter().last();
    !last.is_some_and(|last| {
        last.next_ip() == part.end
            && (matches!(
                last.flow_control(),
                FlowControl::Return
                    | FlowControl::UnconditionalBranch
                    | FlowControl::IndirectBranch
                    | FlowControl::Exception
            ) || last.mnemonic() == Mnemonic::Hlt)
    })
}

/// The padding that follows `end`: bytes that belong to no function and do nothing.
fn padding_after(program: &Program<'_>, end: u64) -> Range<u64> {
    let Some(section) = program.image.section_at(end.wrapping_sub(1)) else { return end..end };
    if section.access != Access::Execute {
        return end..end;
    }
    let index = program.image.code_index.partition_point(|(range, ..)| range.start < end);
    let next = program.image.code_index.get(index).map_or(section.range.end, |(range, ..)| range.start);
    let limit = next.min(section.range.end).max(end);
    let bytes = program.image.bytes(end..limit).unwrap_or_default();
    end..end + padding_len(bytes)
}

/// Five bytes of padding within reach of a short jump at `site`, in one page: behind this function or behind one
/// of its neighbours.
fn find_island(
    program: &Program<'_>,
    body: &Range<u64>,
    site: u64,
    taken: &[Range<u64>],
) -> Option<(u64, Vec<u8>)> {
    let from = site + SHORT_JUMP_LEN as u64;
    let parts = program.image.code_index.iter().map(|(range, ..)| range);
    let near = parts.filter(|range| range.end.abs_diff(from) < 256 && !falls_through(program, range));
    let near = near.map(|range| range.end);
    let mut candidates: Vec<u64> = near.collect();
    candidates.sort_by_key(|end| end.abs_diff(body.end));
    for end in candidates {
        let gap = padding_after(program, end);
        // The jump at the entry may itself reach into the padding behind a very short function.
        let first = gap.start.max(if end == body.end { from } else { 0 });
        for island in first..gap.end.saturating_sub(NEAR_JUMP_LEN as u64 - 1) {
            let reach = SHORT_REACH.contains(&(island as i64 - from as i64));
            let end = island + NEAR_JUMP_LEN as u64;
            let referred = program.next_boundary(island - 1).is_some_and(|boundary| boundary < end);
            let taken = taken.iter().any(|used| used.start < end && island < used.end);
            if reach && in_one_page(island, NEAR_JUMP_LEN) && !referred && !taken {
                let original = program.image.bytes(island..island + NEAR_JUMP_LEN as u64)?.to_vec();
                return Some((island, original));
            }
        }
    }
    None
}
