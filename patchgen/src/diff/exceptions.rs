//! Comparing exception tables: two functions of the same instructions may still catch different exceptions.

use super::Pair;
use super::same::{Difference, Sameness};
use crate::code::{Program, instructions};
use crate::image::{
    Action, CallSite, Frame, Frames, FunctionId, Image, Lsda, Pointer, Referent, Slot, ViaAddress, read_lsda,
};
use iced_x86::Mnemonic;
use std::collections::BTreeSet;
use std::ops::Range;

/// The frames of both builds, if exception tables tell any of them apart.
pub struct ExceptionTables<'t, 'p, 'a> {
    pair: &'t Pair<'p, 'a>,
    frames: Option<(Frames, Frames)>,
}

impl<'t, 'p, 'a> ExceptionTables<'t, 'p, 'a> {
    /// Reads the frames of both builds.
    pub fn read(pair: &'t Pair<'p, 'a>) -> Self {
        let (old, new) = (&pair.old.image, &pair.new.image);
        let any = Frames::are_told_apart(old) || Frames::are_told_apart(new);
        let frames = any.then(|| rayon::join(|| Frames::read(old), || Frames::read(new)));
        ExceptionTables { pair, frames }
    }

    /// How the exception tables of two functions differ whose instructions are the same.
    ///
    /// With `same_shape` the instructions are at the same distances too.
    pub fn difference(
        &self,
        same: &Sameness<'_, '_, '_>,
        (old, new): (FunctionId, FunctionId),
        same_shape: bool,
    ) -> Option<Difference> {
        let (old_frames, new_frames) = self.frames.as_ref()?;
        let unknown = || Some("its exception table cannot be compared".to_owned());
        let olds = Side::new(self.pair.old, old_frames, old);
        let news = Side::new(self.pair.new, new_frames, new);
        let (Some(olds), Some(news)) = (olds, news) else { return unknown() };
        if olds.covered != news.covered {
            return Some("the unwinder knows its frame in one build only".to_owned());
        }
        if olds.frames.len() != news.frames.len() {
            return Some(CHANGED.to_owned());
        }
        if olds.frames.is_empty() {
            return None;
        }
        let places =
            (Places::new(self.pair.old, old, same_shape), Places::new(self.pair.new, new, same_shape));
        for (a, b) in olds.frames.iter().zip(&news.frames) {
            let routines = match (a.personality, b.personality) {
                (None, None) => true,
                (Some(a), Some(b)) => same_target(same, a, b),
                _ => false,
            };
            if !routines || a.lsda.is_some() != b.lsda.is_some() {
                return Some(CHANGED.to_owned());
            }
            let (Some(a_lsda), Some(b_lsda)) = (a.lsda, b.lsda) else { continue };
            if !a.personality.is_some_and(|routine| is_known(&self.pair.old.image, routine)) {
                return unknown();
            }
            let a = read_lsda(&self.pair.old.image, a_lsda, &a.range);
            let b = read_lsda(&self.pair.new.image, b_lsda, &b.range);
            let (Some(a), Some(b)) = (a, b) else { return unknown() };
            if !same_tables(same, &places, &a, &b) {
                return Some(CHANGED.to_owned());
            }
        }
        None
    }
}

/// What people are told.
const CHANGED: &str = "the exception table changed";

/// The frames of one function.
struct Side<'f> {
    /// Those with a personality routine or a table, of all parts.
    frames: Vec<&'f Frame>,
    /// For each part, whether the unwinder knows its beginning.
    covered: Vec<bool>,
}

impl<'f> Side<'f> {
    fn new(program: &Program<'_>, frames: &'f Frames, id: FunctionId) -> Option<Self> {
        let mut side = Side { frames: Vec::new(), covered: Vec::new() };
        for part in &program.image.function(id).parts {
            let over = frames.over(part)?;
            side.covered.push(over.first().is_some_and(|first| first.range.contains(&part.start)));
            side.frames
                .extend(over.iter().filter(|frame| frame.personality.is_some() || frame.lsda.is_some()));
        }
        Some(side)
    }
}

/// Personality routines of C, C++, Objective-C, Ada, D, Go (all of the psABI's second version) and Rust.
fn is_known_name(name: &str) -> bool {
    name.ends_with("_personality_v0") || name.contains("rust_eh_personality") || name == "_d_eh_personality"
}

/// True if the tables of the personality routine have the form that [`read_lsda`] reads.
pub(crate) fn is_known(image: &Image<'_>, routine: ViaAddress) -> bool {
    match routine {
        ViaAddress::Null => false,
        ViaAddress::Direct(address) => is_known_at(image, address),
        ViaAddress::Slot(slot) => match image.slot(slot) {
            Some(Slot::Dynamic(Pointer::Symbol { name, .. })) => is_known_name(&name),
            Some(Slot::Dynamic(Pointer::Address(address)) | Slot::Constant(address)) => {
                is_known_at(image, address)
            }
            _ => false,
        },
    }
}

fn is_known_at(image: &Image<'_>, address: u64) -> bool {
    match image.resolve(address, None) {
        Referent::Code { function, part: 0, offset: 0 } => {
            let function = image.function(function);
            std::iter::once(&function.name).chain(&function.aliases).any(|name| is_known_name(name))
        }
        Referent::Stub { slot } => match image.slot(slot) {
            Some(Slot::Dynamic(Pointer::Symbol { name, .. })) => is_known_name(&name),
            _ => false,
        },
        _ => false,
    }
}

/// The types that exception tables name by their address alone, as code at a fixed address does.
pub fn caught_by_address(image: &Image<'_>) -> BTreeSet<u64> {
    let frames = if Frames::are_told_apart(image) { Frames::read(image) } else { Frames::default() };
    let tables = frames.iter().filter_map(|frame| read_lsda(image, frame.lsda?, &frame.range));
    let actions = tables.flat_map(|table| table.call_sites).flat_map(|site| site.actions);
    let types = actions.flat_map(|action| action.types);
    types
        .filter_map(|target| if let ViaAddress::Direct(address) = target { Some(address) } else { None })
        .collect()
}

/// True if two tables do the same with every exception.
fn same_tables(same: &Sameness<'_, '_, '_>, places: &(Places, Places), old: &Lsda, new: &Lsda) -> bool {
    let same_types = |a: &[ViaAddress], b: &[ViaAddress]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_target(same, *a, *b))
    };
    let same_actions = |a: &[Action], b: &[Action]| {
        let same_action = |(a, b): (&Action, &Action)| a.filter == b.filter && same_types(&a.types, &b.types);
        a.len() == b.len() && a.iter().zip(b).all(same_action)
    };
    let same_place = |a: u64, b: u64| match (places.0.of(a), places.1.of(b)) {
        (Some(a), Some(b)) => a == b,
        (None, None) => same.addresses(a, b, None),
        _ => false,
    };
    let same_end = |a: &CallSite, b: &CallSite| match (places.0.of_end(&a.range), places.1.of_end(&b.range)) {
        (Some(a), Some(b)) => a == b,
        (None, None) => a.range.end - a.range.start == b.range.end - b.range.start,
        _ => false,
    };
    let same_pad = |a: Option<u64>, b: Option<u64>| match (a, b) {
        (Some(a), Some(b)) => same_place(a, b),
        (a, b) => a == b,
    };
    let same_site = |(a, b): (&CallSite, &CallSite)| {
        same_place(a.range.start, b.range.start)
            && same_end(a, b)
            && same_pad(a.pad, b.pad)
            && same_actions(&a.actions, &b.actions)
    };
    old.call_sites.len() == new.call_sites.len() && old.call_sites.iter().zip(&new.call_sites).all(same_site)
}

fn same_target(same: &Sameness<'_, '_, '_>, old: ViaAddress, new: ViaAddress) -> bool {
    match (old, new) {
        (ViaAddress::Null, ViaAddress::Null) => true,
        (ViaAddress::Direct(a), ViaAddress::Direct(b)) => same.addresses(a, b, None),
        (ViaAddress::Slot(a), ViaAddress::Slot(b)) => same.slots(a, b, None),
        _ => false,
    }
}

/// What places in a function are called in both builds.
struct Places {
    parts: Vec<Range<u64>>,
    /// For each part the addresses of its instructions, without those that only pad; None if distances will do.
    instructions: Option<Vec<Vec<u64>>>,
}

impl Places {
    fn new(program: &Program<'_>, id: FunctionId, same_shape: bool) -> Self {
        let parts = program.image.function(id).parts.clone();
        let addresses = |part: &Range<u64>| {
            let all = instructions(&program.image, part.clone());
            let real = all.into_iter().filter(|instruction| instruction.mnemonic() != Mnemonic::Nop);
            real.map(|instruction| instruction.ip()).collect()
        };
        let instructions = (!same_shape).then(|| parts.iter().map(addresses).collect());
        Places { parts, instructions }
    }

    /// The part, and the distance from its beginning in bytes or instructions; None outside the function.
    fn of(&self, address: u64) -> Option<(usize, u64)> {
        let part = self.parts.iter().position(|part| part.contains(&address))?;
        Some((part, self.distance(part, address)))
    }

    fn of_end(&self, range: &Range<u64>) -> Option<(usize, u64)> {
        let last = range.end.saturating_sub(1).max(range.start);
        let part = self.parts.iter().position(|part| part.contains(&last))?;
        Some((part, self.distance(part, range.end)))
    }

    fn distance(&self, part: usize, address: u64) -> u64 {
        match &self.instructions {
            Some(instructions) => instructions[part].partition_point(|at| *at < address) as u64,
            None => address - self.parts[part].start,
        }
    }
}
