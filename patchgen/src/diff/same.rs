//! When two references, two constants or two functions are the same.

use super::{Matching, Pair};
use crate::code::{Code, EndUse, Form, Program, Reference, Use, descent, end_use, is_text, without_padding};
use crate::image::{Access, Extent, FunctionId, ObjectId, Pointer, Referent, Slot};
use object::elf;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Decides sameness under a matching.
pub struct Sameness<'s, 'p, 'a> {
    pub(super) pair: &'s Pair<'p, 'a>,
    pub(super) matching: &'s Matching,
    /// Objects, and functions of which neither is matched, count as the same if their keys are equal.
    pub(super) by_key: bool,
    /// What comparisons of unnamed data came to.
    known: Mutex<HashMap<Places, Result<(), Difference>>>,
}

/// What is not the same, for people.
pub(super) type Difference = String;

/// A pair of addresses of unnamed data.
type Places = (u64, u64);

/// The pairs of unnamed data that one comparison has come to: data that leads back to itself, or to the same data by
/// several ways, is the same if nothing else on the way differs.
#[derive(Default)]
pub(super) struct Trail(RefCell<HashSet<Places>>);

impl<'s, 'p, 'a> Sameness<'s, 'p, 'a> {
    /// Sameness by what was matched.
    pub fn strict(pair: &'s Pair<'p, 'a>, matching: &'s Matching) -> Self {
        Sameness { pair, matching, by_key: false, known: Mutex::default() }
    }

    /// Sameness by what was matched and, where nothing was yet, by file and family of the name.
    pub fn by_key(pair: &'s Pair<'p, 'a>, matching: &'s Matching) -> Self {
        Sameness { pair, matching, by_key: true, known: Mutex::default() }
    }

    /// True if the functions are byte for byte the same but for where things are.
    pub fn functions(&self, old: FunctionId, new: FunctionId) -> bool {
        self.same_shape(old, new) && self.references(old, new).next().is_none()
    }

    /// True if all bytes that do not depend on addresses are the same, and references stand at the same places.
    pub fn same_shape(&self, old: FunctionId, new: FunctionId) -> bool {
        let (old_image, new_image) = (&self.pair.old.image, &self.pair.new.image);
        let (old_parts, new_parts) = (&old_image.function(old).parts, &new_image.function(new).parts);
        let (old_code, new_code) = (self.pair.old.code(old), self.pair.new.code(new));
        let same_lengths = old_parts.len() == new_parts.len()
            && old_parts.iter().zip(new_parts).all(|(a, b)| a.end - a.start == b.end - b.start);
        if !same_lengths || old_code.references.len() != new_code.references.len() {
            return false;
        }
        let same_fields = old_code.references.iter().zip(&new_code.references).all(|(a, b)| {
            (a.part, a.offset, a.width, a.end, a.form, a.usage)
                == (b.part, b.offset, b.width, b.end, b.form, b.usage)
        });
        if !same_fields || !self.same_thread_local_fields(old_code, new_code) {
            return false;
        }
        old_parts.iter().zip(new_parts).enumerate().all(|(part, (old_range, new_range))| {
            let (Some(old), Some(new)) =
                (old_image.bytes(old_range.clone()), new_image.bytes(new_range.clone()))
            else {
                return false;
            };
            same_outside_fields(old, new, old_code, part as u16, !self.matching.thread_locals.same_layout())
        })
    }

    /// The differences between the references of two functions of the same shape.
    pub fn references(
        &self,
        old: FunctionId,
        new: FunctionId,
    ) -> impl Iterator<Item = Difference> + use<'_, 's, 'p, 'a> {
        let (old_code, new_code) = (self.pair.old.code(old), self.pair.new.code(new));
        let pairs = old_code.references.iter().zip(&new_code.references);
        let differences = pairs.filter_map(move |(a, b)| self.reference((old, a), (new, b)).err());
        let fields = old_code.thread_locals.fields.iter().zip(&new_code.thread_locals.fields);
        differences.chain(fields.filter_map(move |(a, b)| self.thread_local(a, b).err()))
    }

    /// Compares one reference of each build.
    pub fn reference(
        &self,
        old: (FunctionId, &Reference),
        new: (FunctionId, &Reference),
    ) -> Result<(), Difference> {
        let (old_code, new_code) = (self.pair.old.code(old.0), self.pair.new.code(new.0));
        if let (Some(a), Some(b)) = (old_code.table_at(old.1.target), new_code.table_at(new.1.target)) {
            let a_entries = a.entries_before(self.pair.old.next_boundary(a.address));
            let b_entries = b.entries_before(self.pair.new.next_boundary(b.address));
            let same = a.absolute == b.absolute && a_entries == b_entries;
            return if same { Ok(()) } else { Err("a jump table changed".to_owned()) };
        }
        let of = |code: &Code, at: u64| (code.distances.contains(&at), code.maybe_distances.contains(&at));
        match (of(old_code, old.1.target), of(new_code, new.1.target)) {
            ((false, false), (false, false)) => {}
            ((true, _), (true, _)) => return self.distances(old.1.target, new.1.target),
            _ => self.distances(old.1.target, new.1.target)?,
        }
        if let Some(result) = self.zero_slots(old, new) {
            return result;
        }
        let result = self
            .referents(&old.1.referent, &new.1.referent, new.1.usage, None)
            .and_then(|()| self.ends(old, new))
            .and_then(|()| self.nameless(old.1, new.1));
        // The compiler's start files refer to places that the linker marks, such as `__TMC_END__`, whatever variable
        // begins there.
        let start_file = self.pair.old.image.function(old.0).source.as_deref() == Some("crtstuff.c");
        if result.is_err() && start_file {
            let news: Vec<&str> = self.pair.new.image.marks_at(new.1.target).collect();
            if self.pair.old.image.marks_at(old.1.target).any(|mark| news.contains(&mark)) {
                return Ok(());
            }
        }
        result
    }

    /// Compares texts that two functions reach from their ends or their middle. Mostly what is before an address is another
    /// text, of which the linker lets this one be the tail.
    fn ends(&self, old: (FunctionId, &Reference), new: (FunctionId, &Reference)) -> Result<(), Difference> {
        if self.by_key || self.pair.new.image.is_rust || new.1.usage != Use::Address {
            return Ok(());
        }
        let text = |program: &Program<'a>, reference: &Reference| {
            let text = match reference.referent {
                Referent::Constant { address, .. } => program.image.text_before(address)?,
                _ => return None,
            };
            text.iter().all(|byte| is_text(*byte)).then_some(text)
        };
        let goes_back = |program: &Program<'a>, (function, reference): (FunctionId, &Reference)| {
            end_use(program, function, reference.target) == EndUse::Descends
        };
        match (text(self.pair.old, old.1), text(self.pair.new, new.1)) {
            (Some(a), Some(b))
                if a != b && goes_back(self.pair.old, old) && goes_back(self.pair.new, new) =>
            {
                return Err(text_instead(b, a));
            }
            _ => {}
        }
        // Literals may hold NULs.
        let piece = |program: &Program<'a>, reference: &Reference| match reference.referent {
            Referent::Constant { address, .. } => {
                program.image.bytes(program.piece_before(address)?..address)
            }
            _ => None,
        };
        let (a, b) = (piece(self.pair.old, old.1), piece(self.pair.new, new.1));
        if a == b {
            return Ok(());
        }
        let before = |program: &Program<'a>, (function, reference): (FunctionId, &Reference)| {
            let back = descent(program, function, reference.target)?;
            program.image.bytes(reference.target - back..reference.target)
        };
        let same = match (before(self.pair.old, old), before(self.pair.new, new)) {
            // How far is not known. At a string's NUL it goes back in that one.
            (None, None) => {
                let goes = |program: &Program<'a>, at: (FunctionId, &Reference)| {
                    let target = at.1.target;
                    program.image.bytes(target..target + 1) == Some(&[0]) && goes_back(program, at)
                };
                !goes(self.pair.old, old) || !goes(self.pair.new, new)
            }
            (a, b) => a == b,
        };
        if same { Ok(()) } else { Err(format!("what is before the address {:#x} changed", new.1.target)) }
    }

    /// Compares what two instructions read or write where nothing has a name and a size: right behind named objects, and
    /// where the linker or an assembler's file only marks a place.
    fn nameless(&self, old: &Reference, new: &Reference) -> Result<(), Difference> {
        let width = match new.usage {
            Use::Read(size) => u64::from(size),
            Use::Write => 8,
            Use::Address | Use::Execute => return Ok(()),
        };
        let is_nameless = |program: &Program<'_>, reference: &Reference| match reference.referent {
            Referent::Object { id, offset, certain: false, .. } => {
                let range = &program.image.object(id).range;
                offset >= (range.end - range.start) as i64
            }
            Referent::Unnamed { .. } => true,
            _ => false,
        };
        if !is_nameless(self.pair.old, old) || !is_nameless(self.pair.new, new) {
            return Ok(());
        }
        let (a, b) = (old.target..old.target + width, new.target..new.target + width);
        self.data(a, b).map_err(|difference| format!("nameless data: {difference}"))
    }

    fn same_function(&self, old: FunctionId, new: FunctionId) -> bool {
        let matched = self.matching.new_function(old);
        if self.by_key && matched.is_none() && self.matching.old_function(new).is_none() {
            self.matching.old_function_keys[old.0 as usize] == self.matching.new_function_keys[new.0 as usize]
        } else {
            matched == Some(new)
        }
    }

    fn same_object(&self, old: ObjectId, new: ObjectId) -> bool {
        if self.by_key {
            self.matching.old_object_keys[old.0 as usize] == self.matching.new_object_keys[new.0 as usize]
        } else {
            self.matching.new_object(old) == Some(new) || self.same_marks(old, new)
        }
    }

    /// Rust puts the same constant into each of its units (`__rustc_debug_gdb_scripts_section__`), where one is as good
    /// as the other.
    fn same_marks(&self, old: ObjectId, new: ObjectId) -> bool {
        let (a, b) = (self.pair.old.image.object(old), self.pair.new.image.object(new));
        a.name == b.name && a.name.starts_with("__rustc_") && self.object_contents(old, new).is_ok()
    }

    fn referents(
        &self,
        old: &Referent,
        new: &Referent,
        usage: Use,
        trail: Option<&Trail>,
    ) -> Result<(), Difference> {
        let different = || Err(instead(&describe(self.pair.new, new), &describe(self.pair.old, old)));
        let same = match (old, new) {
            (
                Referent::Code { function: a, part: ap, offset: ao },
                Referent::Code { function: b, part: bp, offset: bo },
            ) => self.same_function(*a, *b) && ap == bp && ao == bo,
            (Referent::Stub { slot: a }, Referent::Stub { slot: b })
            | (Referent::Slot { address: a }, Referent::Slot { address: b }) => self.slots(*a, *b, trail),
            (Referent::Object { id: a, offset: ao, .. }, Referent::Object { id: b, offset: bo, .. }) => {
                self.same_object(*a, *b) && ao == bo
            }
            (Referent::Constant { address: a, .. }, Referent::Constant { address: b, .. })
            | (Referent::Unnamed { address: a }, Referent::Unnamed { address: b }) => {
                return self.constants(*a, *b, usage, trail);
            }
            (Referent::Outside { address: a }, Referent::Outside { address: b }) => a == b,
            _ => false,
        };
        if same { Ok(()) } else { different() }
    }

    pub(super) fn slots(&self, old: u64, new: u64, trail: Option<&Trail>) -> bool {
        match (self.pair.old.image.slot(old), self.pair.new.image.slot(new)) {
            (Some(Slot::Dynamic(a)), Some(Slot::Dynamic(b))) => self.pointers(&a, &b, trail),
            (Some(Slot::Constant(a)), Some(Slot::Constant(b))) => self.words(a, b, trail),
            _ => false,
        }
    }

    /// A word that the linker filled in: an address or a number.
    fn words(&self, old: u64, new: u64, trail: Option<&Trail>) -> bool {
        let mapped = |image: &crate::image::Image<'_>, word| image.section_at(word).is_some();
        match (mapped(&self.pair.old.image, old), mapped(&self.pair.new.image, new)) {
            (true, true) => self.addresses(old, new, trail),
            (false, false) => old == new,
            _ => false,
        }
    }

    /// Compares what two pointers in data lead to.
    pub(super) fn addresses(&self, old: u64, new: u64, trail: Option<&Trail>) -> bool {
        let (a, b) = (self.pair.old.image.resolve(old, None), self.pair.new.image.resolve(new, None));
        self.referents(&a, &b, Use::Address, trail).is_ok()
    }

    /// Compares two values that the dynamic linker writes.
    fn pointers(&self, old: &Pointer, new: &Pointer, trail: Option<&Trail>) -> bool {
        match (old, new) {
            (Pointer::Address(a), Pointer::Address(b)) | (Pointer::Resolved(a), Pointer::Resolved(b)) => {
                self.addresses(*a, *b, trail)
            }
            (
                Pointer::ThreadLocal { kind: a_kind, name: a, addend: a_place },
                Pointer::ThreadLocal { kind: b_kind, name: b, addend: b_place },
            ) if a.is_empty() && b.is_empty() && !self.matching.thread_locals.same_layout() => {
                let unclear = |place| place == 0 && *a_kind != elf::R_X86_64_TPOFF64.0;
                a_kind == b_kind
                    && (!(unclear(*a_place) || unclear(*b_place)) || (a_place, b_place) == (&0, &0))
                    && self.matching.thread_locals.old_start(*b_place as u64) == Ok(*a_place as u64)
            }
            _ => old == new,
        }
    }

    /// Compares unnamed constants: exactly the bytes that are read, or up to where the next thing begins.
    fn constants(&self, old: u64, new: u64, usage: Use, trail: Option<&Trail>) -> Result<(), Difference> {
        if let Use::Read(size) = usage {
            let size = u64::from(size);
            return self
                .data_on(old..old.saturating_add(size), new..new.saturating_add(size), trail)
                .map_err(|_| "a constant changed".to_owned());
        }
        // Tables of tables without names are Rust's.
        let is_rust = self.pair.new.image.is_rust;
        if is_rust
            && let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&(old, new))
        {
            return known.clone();
        }
        if let Some(trail) = trail {
            let is_first = trail.0.borrow_mut().insert((old, new));
            return if is_first { self.unnamed(old, new, trail) } else { Ok(()) };
        }
        let trail = Trail(RefCell::new(HashSet::from([(old, new)])));
        let result = self.unnamed(old, new, &trail);
        if !is_rust {
            return result;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(()) => known.extend(trail.0.into_inner().into_iter().map(|places| (places, Ok(())))),
            Err(ref difference) => drop(known.insert((old, new), Err(difference.clone()))),
        }
        result
    }

    fn unnamed(&self, old: u64, new: u64, trail: &Trail) -> Result<(), Difference> {
        let trail = Some(trail);
        if self.pair.old.image.is_rust && self.pair.new.image.is_rust {
            return self.pieces(old, new, trail);
        }
        let (Some((a_extent, a)), Some((b_extent, b))) =
            (self.pair.old.constant(old), self.pair.new.constant(new))
        else {
            return Err("refers to data that cannot be read".to_owned());
        };
        match (a_extent, b_extent) {
            (Extent::Text(_), Extent::Text(_)) if without_padding(a) == without_padding(b) => Ok(()),
            (Extent::Text(_), Extent::Text(_)) => Err(text_instead(b, a)),
            _ => {
                let len = (a.len() as u64).min(b.len() as u64);
                let rest_is_zero = a[len as usize..].iter().chain(&b[len as usize..]).all(|byte| *byte == 0);
                match self.data_on(old..old + len, new..new + len, trail) {
                    Ok(()) if rest_is_zero => Ok(()),
                    _ => Err("an unnamed constant changed".to_owned()),
                }
            }
        }
    }

    /// Compares the initial contents of two named objects.
    pub fn object_contents(&self, old: ObjectId, new: ObjectId) -> Result<(), Difference> {
        let (a, b) =
            (self.pair.old.image.object(old).range.clone(), self.pair.new.image.object(new).range.clone());
        let (a_size, b_size) = (a.end - a.start, b.end - b.start);
        if a_size != b_size {
            return Err(format!("its size changed from {a_size} to {b_size} bytes"));
        }
        if self.pair.old.image.object(old).is_relative_table() {
            return self.distances(a.start, b.start);
        }
        self.metadata(old, new).unwrap_or_else(|| self.data(a, b))
    }

    /// Compares what the entries of two tables of 32-bit distances from the table's beginning lead to.
    fn distances(&self, old: u64, new: u64) -> Result<(), Difference> {
        let (olds, news) = (self.pair.old.distances(old), self.pair.new.distances(new));
        let same = |(a, b): (&u64, &u64)| {
            if (*a == old) != (*b == new) {
                return false;
            }
            let (a, b) = (self.pair.old.image.resolve(*a, None), self.pair.new.image.resolve(*b, None));
            let same_contents = match (a, b) {
                // Nobody else may refer to it, so its contents are compared here.
                (Referent::Object { id: old, .. }, Referent::Object { id: new, .. })
                    if !self.pair.old.image.object(old).is_relative_table() =>
                {
                    self.object_contents(old, new).is_ok()
                }
                _ => true,
            };
            same_contents && self.referents(&a, &b, Use::Address, None).is_ok()
        };
        if olds.len() == news.len() && olds.iter().zip(&news).all(same) {
            Ok(())
        } else {
            Err("an entry of its table changed".to_owned())
        }
    }

    /// Compares initial data of the same length: bytes, and what pointers lead to.
    pub fn data(&self, old: Range<u64>, new: Range<u64>) -> Result<(), Difference> {
        self.data_on(old, new, None)
    }

    pub(super) fn data_on(
        &self,
        old: Range<u64>,
        new: Range<u64>,
        trail: Option<&Trail>,
    ) -> Result<(), Difference> {
        let (a_image, b_image) = (&self.pair.old.image, &self.pair.new.image);
        let a_pointers = data_pointers(a_image, old.clone());
        let b_pointers = data_pointers(b_image, new.clone());
        if a_pointers.len() != b_pointers.len() {
            return Err("a pointer in its initial value changed".to_owned());
        }
        let mut from = 0;
        let a_bytes = a_image.bytes(old.clone()).unwrap_or_default();
        let b_bytes = b_image.bytes(new.clone()).unwrap_or_default();
        if a_bytes.len() != b_bytes.len() {
            return Err("it moved between initialised and zeroed data".to_owned());
        }
        let mut same_bytes = |to: usize| {
            let range = from.min(a_bytes.len())..to.min(a_bytes.len());
            from = to + 8;
            range.is_empty() || a_bytes[range.clone()] == b_bytes[range]
        };
        for ((a_at, a), (b_at, b)) in a_pointers.iter().zip(&b_pointers) {
            if a_at - old.start != b_at - new.start || !self.pointers(a, b, trail) {
                return Err(format!(
                    "the pointer at offset {} of its initial value changed",
                    b_at - new.start
                ));
            }
            if !same_bytes((a_at - old.start) as usize) {
                return Err("its initial value changed".to_owned());
            }
        }
        if same_bytes(a_bytes.len()) { Ok(()) } else { Err("its initial value changed".to_owned()) }
    }
}

/// Pointers in initial data: those of the dynamic linker, and absolute ones of which the linker kept a record.
pub(crate) fn data_pointers(image: &crate::image::Image<'_>, range: Range<u64>) -> Vec<(u64, Pointer)> {
    let mut pointers: Vec<(u64, Pointer)> = image.linkage.pointers_in(range.clone()).to_vec();
    if image.may_hide_pointers() {
        pointers.extend(maybe_pointers(image, range));
        pointers.sort_by_key(|(address, _)| *address);
    } else if !image.position_independent {
        for kept in image.kept_in(range) {
            if kept.kind == elf::R_X86_64_64.0 && image.linkage.pointer_at(kept.address).is_none() {
                let word =
                    image.bytes(kept.address..kept.address + 8).and_then(|bytes| bytes.try_into().ok());
                if let Some(word) = word {
                    pointers.push((kept.address, Pointer::Address(u64::from_le_bytes(word))));
                }
            }
        }
        pointers.sort_by_key(|(address, _)| *address);
    }
    pointers
}

/// Aligned words that are addresses in the image: without relocations nothing tells them from numbers.
fn maybe_pointers(image: &crate::image::Image<'_>, range: Range<u64>) -> Vec<(u64, Pointer)> {
    let mut found = Vec::new();
    for section in &image.sections {
        let from = section.range.start.max(range.start).next_multiple_of(8);
        let end = (section.range.start + section.data.len() as u64).min(range.end);
        let bytes =
            if from < end && section.access != Access::Execute { image.bytes(from..end) } else { None };
        let words = bytes.unwrap_or_default().chunks_exact(8).enumerate();
        found.extend(words.filter_map(|(index, word)| {
            let at = from + index as u64 * 8;
            let word = u64::from_le_bytes(word.try_into().ok()?);
            let is_address = image.section_at(word).is_some() && image.linkage.pointer_at(at).is_none();
            is_address.then_some((at, Pointer::Address(word)))
        }));
    }
    found
}

/// True if `old` and `new` agree outside the fields that hold references, and those that lead to thread-local
/// variables if `thread_locals` says so.
fn same_outside_fields(old: &[u8], new: &[u8], code: &Code, part: u16, thread_locals: bool) -> bool {
    let references = code.references.iter().filter(|reference| reference.part == part);
    let mut fields: Vec<(usize, usize)> =
        references.map(|reference| (reference.offset as usize, usize::from(reference.width))).collect();
    if thread_locals {
        let own = code.thread_locals.fields.iter().filter(|field| field.part == part);
        fields.extend(own.map(|field| (field.offset as usize, 4)));
        fields.sort_unstable();
    }
    let mut from = 0;
    for (field, width) in fields {
        if old[from..field] != new[from..field] {
            return false;
        }
        from = field + width;
    }
    old[from..] == new[from..]
}

/// What is told of two places that are not the same, although they may share their name.
fn instead(new: &str, old: &str) -> String {
    if new == old {
        format!("refers to {new}, but not the one that it referred to before")
    } else {
        format!("refers to {new} instead of {old}")
    }
}

/// What is told of two texts that are not the same.
pub(super) fn text_instead(new: &[u8], old: &[u8]) -> Difference {
    let from = difference_from(old, new);
    format!("{} instead of {}", quoted_from(new, from), quoted_from(old, from))
}

/// Characters of a string that are shown.
const SHOWN: usize = 40;

/// The character from which two strings are shown so that their difference is seen.
fn difference_from(a: &[u8], b: &[u8]) -> usize {
    let (a, b) = (String::from_utf8_lossy(a), String::from_utf8_lossy(b));
    let common = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    if common < SHOWN * 3 / 4 { 0 } else { common - SHOWN / 4 }
}

fn quoted(bytes: &[u8]) -> String {
    quoted_from(bytes, 0)
}

fn quoted_from(bytes: &[u8], from: usize) -> String {
    let text = String::from_utf8_lossy(without_padding(bytes));
    let mut rest = text.chars().skip(from);
    let shown: String = rest.by_ref().take(SHOWN).collect();
    let dots = |cut: bool| if cut { "..." } else { "" };
    format!("{:?}", format!("{}{shown}{}", dots(from > 0), dots(rest.next().is_some())))
}

/// How people call what a reference leads to.
pub(crate) fn describe(program: &crate::code::Program<'_>, referent: &Referent) -> String {
    let image = &program.image;
    let plus = |name: &str, offset: u64| {
        if offset == 0 { format!("`{name}`") } else { format!("`{name}`+{offset:#x}") }
    };
    match referent {
        Referent::Code { function, part: 0, offset } => plus(&image.function(*function).name, *offset),
        Referent::Code { function, .. } => format!("the cold part of `{}`", image.function(*function).name),
        Referent::Stub { slot } | Referent::Slot { address: slot } => match image.slot(*slot) {
            Some(Slot::Dynamic(Pointer::Symbol { name, .. })) => format!("the import `{name}`"),
            _ => "a linker-made slot".to_owned(),
        },
        Referent::Object { id, offset, .. } => plus(&image.object(*id).name, *offset as u64),
        Referent::Constant { address, .. } => match program.constant(*address) {
            Some((Extent::Text(_), text)) => quoted(text),
            _ => "an unnamed constant".to_owned(),
        },
        Referent::Unnamed { .. } => "unnamed data".to_owned(),
        Referent::Outside { address } => format!("address {address:#x} outside the image"),
    }
}

/// True if the form of the field allows a 32-bit distance or address.
pub(crate) fn is_branch(reference: &Reference) -> bool {
    matches!(reference.form, Form::Branch { .. })
}
