//! Strings, and addresses in and behind them.
//!
//! A string may be found in the target or be copied alone. Code that takes two addresses of one string, its beginning and
//! its end say, has to find both in the same one; and an address right behind a string looks like that of the next one.
//! So all strings of a function that overlap or meet stay together.

use super::builder::Builder;
use super::data::alignment_of;
use super::place::{NoPlace, Placed, User};
use crate::code::{EndUse, Program, Use, descent, end_use};
use crate::image::{Extent, FunctionId, Referent};
use crate::report::RefusalKind;
use patchfile::SymbolKind;
use std::collections::BTreeSet;
use std::ops::Range;

impl Builder<'_, '_, '_> {
    /// What stays together with the constant at `address` because of what `user` refers to.
    fn group(&mut self, user: User, address: u64) -> Option<Group> {
        let program = self.input.pair.new;
        let Some(function) = user else { return extent(program, user, address) };
        let groups = self.constant_groups.entry(function).or_insert_with(|| groups(program, function));
        groups.iter().find(|group| group.range.contains(&address)).cloned()
    }

    /// The strings that stay together with the one at `address`; None if one of them is no string, so that its extent
    /// is not known.
    pub(super) fn texts_with(&mut self, user: User, address: u64) -> Result<Option<Range<u64>>, NoPlace> {
        let Some(Group { range, end, is_text: true, .. }) = self.group(user, address) else {
            return Ok(None);
        };
        let program = self.input.pair.new;
        // Assertions pass texts and names of functions, which may well meet.
        let names_behind = user.is_some_and(|user| {
            let takes_end = program.code(user).references.iter().any(|reference| {
                reference.usage == Use::Address
                    && reference.target == end
                    && matches!(reference.referent, Referent::Object { certain: false, .. })
            });
            takes_end && matches!(end_use(program, user, end), EndUse::Open | EndUse::Descends)
        });
        if names_behind && let Some((behind, _)) = program.image.object_at(end) {
            return Err(NoPlace {
                kind: RefusalKind::AmbiguousReference,
                subject: program.image.object(behind).name.clone(),
                detail: format!(
                    "an address may mean its start or the end of the string at {:#x}",
                    range.start
                ),
            });
        }
        Ok(Some(range))
    }

    /// True if nothing else that `user` refers to overlaps or meets the constant at `address`.
    pub(super) fn is_alone(&mut self, user: User, address: u64) -> bool {
        self.group(user, address).is_none_or(|group| group.members == 1)
    }

    /// The place of `address` in the strings `texts`: those of the target if it has them, or a copy. All addresses in them
    /// that one function takes lead to the same ones.
    pub(super) fn place_texts(&mut self, user: User, address: u64, texts: Range<u64>) -> Placed {
        let offset = (address - texts.start) as i64;
        if let Some(symbol) = self.placed_texts.get(&(user, texts.start)) {
            return Placed { symbol: *symbol, offset };
        }
        let bytes = self.input.pair.new.image.bytes(texts.clone()).unwrap_or_default();
        let symbol = match self.old_texts(user, address - texts.start, bytes) {
            Some(old) => self.target_symbol(&format!("text_{old:x}"), old, SymbolKind::Object),
            None => self.constant(bytes.to_vec(), alignment_of(texts.start)),
        };
        self.placed_texts.insert((user, texts.start), symbol);
        Placed { symbol, offset }
    }

    /// The address of the same strings in the target: those that the function's old version uses, or the only ones.
    /// Linkers keep equal strings once, so that code may compare them by address.
    fn old_texts(&self, user: User, offset: u64, bytes: &[u8]) -> Option<u64> {
        self.used_texts(user, offset, bytes).or_else(|| {
            let mut found = self.input.pair.old.texts(bytes).filter(|address| self.is_old_constant(*address));
            found.next().filter(|_| found.next().is_none())
        })
    }

    fn is_old_constant(&self, address: u64) -> bool {
        matches!(self.input.pair.old.image.resolve(address, None), Referent::Constant { .. })
    }

    /// The address of the same strings to which the function's old version refers `offset` bytes behind their beginning.
    fn used_texts(&self, user: User, offset: u64, bytes: &[u8]) -> Option<u64> {
        let image = &self.input.pair.old.image;
        let old = self.input.matching.old_function(user?)?;
        let targets = self.input.pair.old.code(old).references.iter().map(|reference| reference.target);
        targets.filter_map(|target| target.checked_sub(offset)).find(|start| {
            self.is_old_constant(*start)
                && image.bytes(*start..*start + bytes.len() as u64).is_some_and(|there| there == bytes)
        })
    }

    /// The address of the string `text` if the function's old version uses it.
    pub(super) fn used_text(&self, user: User, text: &[u8]) -> Option<u64> {
        self.used_texts(user, 0, text)
    }
}

/// The unnamed constants whose addresses a function takes, but for its jump tables, as far as they belong together.
fn groups(program: &Program<'_>, function: FunctionId) -> Vec<Group> {
    let code = program.code(function);
    let taken = code.references.iter().filter(|reference| reference.usage == Use::Address);
    let constants = taken.filter_map(|reference| match reference.referent {
        Referent::Constant { address, .. } if code.table_at(address).is_none() => Some(address),
        _ => None,
    });
    let constants: BTreeSet<u64> = constants.collect();
    let mut groups: Vec<Group> = Vec::new();
    for next in constants.into_iter().filter_map(|address| extent(program, Some(function), address)) {
        match groups.last_mut() {
            Some(last) if last.meets(&next) => last.join(&next),
            _ => groups.push(next),
        }
    }
    groups
}

/// Constants that belong together.
#[derive(Clone)]
pub(super) struct Group {
    range: Range<u64>,
    /// Behind the last one's NUL, before the zeros that align what comes next.
    end: u64,
    /// All of it is strings.
    is_text: bool,
    /// How many addresses lead to it.
    members: usize,
}

impl Group {
    /// True if `next`, which begins later, overlaps this, or begins where an address behind its last byte leads.
    fn meets(&self, next: &Self) -> bool {
        next.range.start <= self.end || next.range.start < self.range.end
    }

    fn join(&mut self, next: &Self) {
        self.range = self.range.start.min(next.range.start)..self.range.end.max(next.range.end);
        self.end = self.end.max(next.end);
        self.is_text &= next.is_text;
        self.members += next.members;
    }
}

/// What a reference to an unnamed constant may lead to. The address of a string's NUL may be its end, or an empty string
/// that the linker put there: then the string before belongs to it. So does what code goes back to from the address; where
/// its instructions do not say how far that is, it is no string of known extent: literals may hold NULs.
fn extent(program: &Program<'_>, user: User, address: u64) -> Option<Group> {
    let image = &program.image;
    let is_end = || image.bytes(address..address + 1) == Some(&[0]);
    let text = image.text_before(address);
    let goes_back = user.filter(|user| end_use(program, *user, address) == EndUse::Descends);
    let back = goes_back.map(|user| descent(program, user, address));
    let is_plain = |range: Range<u64>| {
        image.bytes(range.clone()).is_some() && range.clone().all(|at| image.object_at(at).is_none())
    };
    let start = match back {
        Some(Some(back)) if is_plain(address - back..address) => Some(address - back),
        Some(_) => None,
        None => Some(address - text.filter(|_| is_end()).map_or(0, |text| text.len() as u64)),
    };
    let Some(start) = start else {
        return Some(Group { range: address..address + 1, end: address + 1, is_text: false, members: 1 });
    };
    Some(match program.constant(address)? {
        (Extent::Text(len), bytes) => {
            let text = bytes.iter().position(|byte| *byte == 0).map_or(len, |nul| nul as u64 + 1);
            Group { range: start..address + len, end: address + text, is_text: true, members: 1 }
        }
        (Extent::AtMost(len), _) => {
            Group { range: start..address + len, end: address + len, is_text: false, members: 1 }
        }
    })
}
