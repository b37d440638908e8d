//! Which thread-local variable of the replacement is which of the target, and where a place in the one is in the other.

use super::matching::file_of;
use super::same::Difference;
use super::{Sameness, Units};
use crate::code::{Code, Program, Reference, TlsField, Use, ZeroSlot};
use crate::image::{self, FunctionId, Pointer, Referent, TlsObject, family, is_rust};
use object::elf;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The correspondence between the thread-local variables of two builds.
pub struct ThreadLocals {
    old: image::ThreadLocals,
    new: image::ThreadLocals,
    to_new: Vec<Option<usize>>,
    to_old: Vec<Option<usize>>,
    /// New variables of which several share file and name.
    ambiguous: BTreeSet<usize>,
    /// New variables of Rust of one path, with their counterparts: paired by a hash or number, which counts those of
    /// their path.
    counted: BTreeMap<usize, usize>,
    same_layout: bool,
}

/// Why a place in the replacement's thread-local storage has none in the target's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoCounterpart {
    /// The variable is a new one.
    New(String),
    /// Several variables share its file and name.
    Namesakes(String),
    /// It may be in the first variable or at its end, or belong to the second, and these did not move alike.
    Between(String, String),
    /// No variable is there.
    Nothing(u64),
}

impl NoCounterpart {
    /// What it is about.
    pub fn subject(&self) -> String {
        match self {
            NoCounterpart::New(name) | NoCounterpart::Namesakes(name) | NoCounterpart::Between(name, _) => {
                name.clone()
            }
            NoCounterpart::Nothing(_) => "thread-local storage".to_owned(),
        }
    }

    /// The reason for people.
    pub fn detail(&self) -> String {
        match self {
            NoCounterpart::New(_) => {
                "it is a new thread-local variable, for which threads that run have no place".to_owned()
            }
            NoCounterpart::Namesakes(_) => {
                "several thread-local variables of this name exist and nothing tells which one this is"
                    .to_owned()
            }
            NoCounterpart::Between(_, other) => format!(
                "an offset may mean a place in it, or one of `{other}`, and they are not at the same distance in the target"
            ),
            NoCounterpart::Nothing(place) => {
                format!(
                    "no variable is {place:#x} bytes from its start, and its layout is not the same in both builds"
                )
            }
        }
    }
}

/// How far before a variable an address may lie that belongs to it: that of a loop's end, or of a table from whose
/// index a number is taken off.
const MAX_BEFORE: u64 = 1 << 20;

impl ThreadLocals {
    /// Matches variables by file and name. `units` tells those apart that share them.
    pub fn new(old: &image::ThreadLocals, new: &image::ThreadLocals, units: &dyn Units) -> Self {
        let mut matched = ThreadLocals {
            to_new: vec![None; old.variables.len()],
            to_old: vec![None; new.variables.len()],
            old: old.clone(),
            new: new.clone(),
            ambiguous: BTreeSet::new(),
            counted: BTreeMap::new(),
            same_layout: false,
        };
        let mut groups: BTreeMap<Key, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
        for (index, variable) in old.variables.iter().enumerate() {
            groups.entry(key(variable)).or_default().0.push(index);
        }
        for (index, variable) in new.variables.iter().enumerate() {
            groups.entry(key(variable)).or_default().1.push(index);
        }
        let mut described = None;
        for (olds, news) in groups.into_values() {
            match (olds.as_slice(), news.as_slice()) {
                ([old], [new]) => matched.pair(*old, *new),
                ([], _) | (_, []) => {}
                _ if matched.pair_counted(&olds, &news) => {}
                _ => {
                    let (old, new) = described
                        .get_or_insert_with(|| (units.old_thread_locals(), units.new_thread_locals()));
                    matched.pair_described(&olds, &news, old, new);
                }
            }
        }
        matched.same_layout = matched.compare_layouts();
        matched
    }

    /// Pairs variables of Rust of one path by their whole names, if these are the same in both builds: a guess, which
    /// does for functions that did not change.
    fn pair_counted(&mut self, olds: &[usize], news: &[usize]) -> bool {
        let names = |storage: &image::ThreadLocals, ids: &[usize]| -> BTreeMap<String, usize> {
            ids.iter().map(|id| (storage.variables[*id].name.clone(), *id)).collect()
        };
        let (old_names, new_names) = (names(&self.old, olds), names(&self.new, news));
        let kept = old_names.len() == olds.len()
            && new_names.len() == news.len()
            && old_names.keys().eq(new_names.keys())
            && old_names.keys().all(|name| is_rust(name));
        if kept {
            for (old, new) in old_names.into_values().zip(new_names.into_values()) {
                self.pair(old, new);
                self.counted.insert(new, old);
            }
        }
        kept
    }

    /// True if one of these places of the target's storage is in a variable of which only a hash or number tells which one
    /// it is.
    pub(super) fn uses_counted(&self, places: &[u64]) -> bool {
        let counted = self.counted.values().map(|old| &self.old.variables[*old]);
        let mut used = counted.filter(|variable| places.iter().any(|place| variable.range().contains(place)));
        used.next().is_some()
    }

    /// A variable that a function of the replacement uses and of which only a hash or number tells which one of the
    /// target it is. One alone in both versions of a function is certain. `old` and `new` are the places that they use.
    pub fn only_counted(&self, old: &[u64], new: &[u64]) -> Option<&str> {
        let used = |storage: &image::ThreadLocals, id: usize, places: &[u64]| {
            let variable = &storage.variables[id];
            places.iter().any(|place| variable.offset == *place || variable.range().contains(place))
        };
        let mut paths: BTreeMap<String, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
        for (is, was) in &self.counted {
            let (olds, news) = paths.entry(family(&self.new.variables[*is].name)).or_default();
            if used(&self.new, *is, new) {
                news.push(*is);
            }
            if used(&self.old, *was, old) {
                olds.push(*was);
            }
        }
        let doubtful = paths.values().find(|(olds, news)| match (olds.as_slice(), news.as_slice()) {
            (_, []) => false,
            ([old], [new]) => self.counted.get(new) != Some(old),
            _ => true,
        });
        doubtful.map(|(_, news)| self.new.variables[news[0]].name.as_str())
    }

    fn pair(&mut self, old: usize, new: usize) {
        self.to_new[old] = Some(new);
        self.to_old[new] = Some(old);
    }

    /// Pairs namesakes by where debugging information says that they are declared.
    fn pair_described(
        &mut self,
        olds: &[usize],
        news: &[usize],
        old_names: &BTreeMap<u64, BTreeSet<String>>,
        new_names: &BTreeMap<u64, BTreeSet<String>>,
    ) {
        for new in news {
            let names = new_names.get(&self.new.variables[*new].offset);
            let is_one =
                |old: &&usize| names.is_some() && names == old_names.get(&self.old.variables[**old].offset);
            let others = news.iter().filter(|other| {
                names.is_some() && new_names.get(&self.new.variables[**other].offset) == names
            });
            let mut found = olds.iter().filter(is_one);
            match (found.next().copied(), found.next(), others.count()) {
                (Some(old), None, 1) => self.pair(old, *new),
                // It is not among the target's.
                (None, _, 1)
                    if names.is_some()
                        && olds
                            .iter()
                            .all(|old| old_names.contains_key(&self.old.variables[*old].offset)) => {}
                _ => drop(self.ambiguous.insert(*new)),
            }
        }
    }

    fn compare_layouts(&self) -> bool {
        let pairs = self.old.variables.iter().zip(&self.to_new);
        let same = |(old, new): (&TlsObject, &Option<usize>)| {
            new.is_some_and(|new| old.range() == self.new.variables[new].range())
        };
        self.old.size == self.new.size
            && self.ambiguous.is_empty()
            && self.to_old.iter().all(Option::is_some)
            && pairs.into_iter().all(same)
    }

    /// True if every variable is where it was: numbers in code mean the same in both builds.
    pub fn same_layout(&self) -> bool {
        self.same_layout
    }

    /// The pairs of variables: the target's, and the replacement's.
    pub fn pairs(&self) -> impl Iterator<Item = (&TlsObject, &TlsObject)> {
        let pairs = self.old.variables.iter().zip(&self.to_new);
        pairs.filter_map(|(old, new)| Some((old, &self.new.variables[(*new)?])))
    }

    /// Where in the target's storage the place is to which a field of the replacement leads. `before` says whether the
    /// function's old version leads to a place of the target, and whether that decides between one variable's end and
    /// the next one's start if its second argument is true.
    pub fn old_place(
        &self,
        field: &TlsField,
        before: &dyn Fn(u64, bool) -> bool,
    ) -> Result<u64, NoCounterpart> {
        if self.same_layout {
            return Ok(field.place);
        }
        let place = field.place;
        if let Some(base) = field.base {
            return self.of_variables(|variable| variable.offset == base, place);
        }
        let size = match field.usage {
            Use::Read(size) => u64::from(size.max(1)),
            _ => 1,
        };
        let holds = |variable: &TlsObject| {
            let range = variable.range();
            range.contains(&place) && range.contains(&place.saturating_add(size - 1))
        };
        let ends = |variable: &TlsObject| variable.size > 0 && variable.range().end == place;
        let holder = self.new.variables.iter().find(|variable| holds(variable));
        let taken = field.usage == Use::Address;
        let there = match holder {
            None if taken => self.of_variables(ends, place)?,
            _ => self.of_variables(holds, place)?,
        };
        if !taken {
            return Ok(there);
        }
        // A loop's end may be closely before a variable, and a table from whose index a number is taken off far before.
        let is_start = holder.is_some_and(|holder| holder.offset == place);
        for (index, other) in self.new.variables.iter().enumerate() {
            let edge = holder.is_some() && ends(other);
            let behind = !is_start && other.offset > place && other.offset - place <= MAX_BEFORE;
            if (!edge && !behind) || before(there, edge) {
                continue;
            }
            let as_other = self.to_old[index]
                .map(|old| self.old.variables[old].offset.wrapping_add(place.wrapping_sub(other.offset)));
            if as_other != Some(there) {
                let meant = holder.or_else(|| self.new.variables.iter().find(|variable| ends(variable)));
                let meant = meant.map(|variable| variable.name.clone()).unwrap_or_default();
                return Err(NoCounterpart::Between(meant, other.name.clone()));
            }
        }
        Ok(there)
    }

    /// Where in the target's storage the variable is that a slot of the replacement leads to.
    pub fn old_start(&self, place: u64) -> Result<u64, NoCounterpart> {
        if self.same_layout {
            return Ok(place);
        }
        self.of_variables(|variable| variable.offset == place, place)
    }

    /// The place of the target that all variables give that are meant.
    fn of_variables(&self, meant: impl Fn(&TlsObject) -> bool, place: u64) -> Result<u64, NoCounterpart> {
        let all: Vec<usize> =
            (0..self.new.variables.len()).filter(|index| meant(&self.new.variables[*index])).collect();
        let Some(first) = all.first() else { return Err(NoCounterpart::Nothing(place)) };
        let name = |index: usize| self.new.variables[index].name.clone();
        if let Some(namesake) = all.iter().find(|index| self.ambiguous.contains(index)) {
            return Err(NoCounterpart::Namesakes(name(*namesake)));
        }
        let mut found: Option<(u64, usize)> = None;
        for index in &all {
            let Some(old) = self.to_old[*index] else { continue };
            let distance = place.wrapping_sub(self.new.variables[*index].offset);
            let there = self.old.variables[old].offset.wrapping_add(distance);
            match found {
                Some((other, by)) if other != there => {
                    return Err(NoCounterpart::Between(name(by), name(*index)));
                }
                _ => found = Some((there, *index)),
            }
        }
        found.map(|(there, _)| there).ok_or_else(|| NoCounterpart::New(name(*first)))
    }

    /// The number that stands for a place of the target's storage in a field of this kind.
    pub fn old_number(&self, field: &TlsField, place: u64) -> Option<i32> {
        let number = if field.from_pointer { self.old.from_pointer(place) } else { place as i64 };
        i32::try_from(number).ok()
    }

    /// True if places of the two builds are as far from multiples of `bytes`.
    pub fn aligned_alike(&self, old: u64, new: u64, bytes: u64) -> bool {
        let enough = |tls: &image::ThreadLocals| tls.align >= bytes;
        bytes <= 1 || (enough(&self.old) && enough(&self.new) && old % bytes == new % bytes)
    }

    /// The variables of the replacement that a field may lead to.
    pub fn names(&self, field: &TlsField) -> impl Iterator<Item = &str> {
        let place = field.base.unwrap_or(field.place);
        let at = self
            .new
            .variables
            .iter()
            .filter(move |variable| variable.offset == place || variable.range().contains(&place));
        at.map(|variable| variable.name.as_str())
    }
}

type Key = (Option<Arc<str>>, String);

fn key(variable: &TlsObject) -> Key {
    (file_of(&variable.name, variable.source.as_ref()).cloned(), family(&variable.name))
}

impl Sameness<'_, '_, '_> {
    /// Compares two fields that lead to thread-local variables.
    pub(super) fn thread_local(&self, old: &TlsField, new: &TlsField) -> Result<(), Difference> {
        let variables = &self.matching.thread_locals;
        let same_base = |base: Option<u64>| {
            let Some(new) = new.base else { return true };
            variables.old_start(new).is_ok_and(|there| base.is_none_or(|base| base == there))
        };
        match variables.old_place(new, &|place, _| place == old.place) {
            Ok(there) if there == old.place && (variables.same_layout() || same_base(old.base)) => Ok(()),
            Ok(_) => Err("refers to another thread-local variable".to_owned()),
            Err(none) => Err(format!("the thread-local `{}`: {}", none.subject(), none.detail())),
        }
    }

    /// True if numbers that lead to thread-local variables mean the same in both builds.
    pub(super) fn same_thread_local_layout(&self) -> bool {
        self.matching.thread_locals.same_layout()
    }

    /// True if numbers that lead to thread-local variables are told from others in both functions, or mean the same in
    /// both builds anyway.
    pub(super) fn knows_thread_locals(&self, old: FunctionId, new: FunctionId) -> bool {
        let certain =
            |program: &Program<'_>, id: FunctionId| program.code(id).thread_locals.uncertain.is_none();
        self.same_thread_local_layout() || (certain(self.pair.old, old) && certain(self.pair.new, new))
    }

    /// True if the fields that lead to thread-local variables stand at the same places, as far as their numbers do not
    /// mean the same in both builds anyway.
    pub(super) fn same_thread_local_fields(&self, old: &Code, new: &Code) -> bool {
        if self.matching.thread_locals.same_layout() {
            return true;
        }
        let (olds, news) = (&old.thread_locals, &new.thread_locals);
        let shape = |field: &TlsField| (field.part, field.offset, field.end, field.from_pointer);
        olds.uncertain.is_none()
            && news.uncertain.is_none()
            && olds.fields.len() == news.fields.len()
            && olds.fields.iter().zip(&news.fields).all(|(a, b)| shape(a) == shape(b))
    }

    /// Compares references to slots of offset 0, which may mean a variable or all of the image's storage.
    pub(super) fn zero_slots(
        &self,
        old: (FunctionId, &Reference),
        new: (FunctionId, &Reference),
    ) -> Option<Result<(), Difference>> {
        let variables = &self.matching.thread_locals;
        if variables.same_layout() {
            return None;
        }
        let (old_kind, old_place) = local_slot(self.pair.old, &old.1.referent)?;
        let (new_kind, new_place) = local_slot(self.pair.new, &new.1.referent)?;
        let meaning =
            |program: &Program<'_>, (id, reference): (FunctionId, &Reference), place: u64| match place {
                0 => program.code(id).thread_locals.zero_slot(reference.part, reference.end),
                _ => Some(ZeroSlot::Variable),
            };
        if old_kind == elf::R_X86_64_TPOFF64.0 || (old_place != 0 && new_place != 0) {
            return None;
        }
        let meanings = (meaning(self.pair.old, old, old_place), meaning(self.pair.new, new, new_place));
        let same = old_kind == new_kind
            && match meanings {
                (Some(ZeroSlot::Start), Some(ZeroSlot::Start)) => true,
                (Some(ZeroSlot::Variable), Some(ZeroSlot::Variable)) => {
                    variables.old_start(new_place) == Ok(old_place)
                }
                _ => false,
            };
        Some(if same { Ok(()) } else { Err("refers to another thread-local variable".to_owned()) })
    }
}

/// The relocation type of a slot that leads to the image's own thread-local storage, and the place there.
pub(crate) fn local_slot(program: &Program<'_>, referent: &Referent) -> Option<(u32, u64)> {
    let Referent::Slot { address } = referent else { return None };
    match program.image.linkage.pointer_at(*address)? {
        Pointer::ThreadLocal { kind, name, addend } if name.is_empty() => Some((*kind, *addend as u64)),
        _ => None,
    }
}

/// The places in the image's thread-local storage to which fields and slots of a function lead.
pub(crate) fn used_places(program: &Program<'_>, id: FunctionId) -> Vec<u64> {
    let code = program.code(id);
    let fields = code.thread_locals.fields.iter().map(|field| field.base.unwrap_or(field.place));
    let slots =
        code.references.iter().filter_map(|reference| Some(local_slot(program, &reference.referent)?.1));
    fields.chain(slots).collect()
}
