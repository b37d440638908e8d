//! Assembles a patch: works through the changed functions and everything new that they reach.

use super::place::{NoPlace, Placed, User};
use super::registration::{Unwinder, sign_of_unwinding};
use super::texts::Group;
use super::unwind::Tables;
use super::{imports, redirect, trampoline};
use crate::code::Obstacle;
use crate::diff::{Matching, Pair};
use crate::image::{FunctionId, ObjectId};
use crate::report::{Refusal, RefusalKind};
use crate::source_lines::Sources;
use patchfile::decode::SecondReader;
use patchfile::format::GATE_SYMBOL;
use patchfile::{
    CodeRange, Function, ImageRef, LinkAddr, Patch, Place, Relocation, RelocationKind, Section,
    SectionContents, SectionKind, Sha256, Symbol, SymbolKind,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Range;

/// A changed function and why it is one.
#[derive(Clone, Debug)]
pub struct Change {
    /// The function in the target.
    pub old: FunctionId,
    /// The function in the replacement.
    pub new: FunctionId,
    /// Reasons for people.
    pub reasons: Vec<String>,
}

/// What a patch is made from.
pub struct Input<'i, 'p, 'a> {
    /// The two builds.
    pub pair: &'i Pair<'p, 'a>,
    /// Their correspondence.
    pub matching: &'i Matching,
    /// Functions to replace.
    pub changes: &'i [Change],
    /// Constants of the replacement whose contents are not those of the target's.
    pub changed_constants: &'i BTreeSet<ObjectId>,
    /// Where the source of functions is.
    pub sources: &'i dyn Sources,
}

/// The result: a patch if nothing was refused.
pub struct Emission {
    /// The patch.
    pub patch: Option<Patch>,
    /// Why there is none.
    pub refusals: Vec<Refusal>,
    /// New functions that the patch contains.
    pub new_functions: Vec<FunctionId>,
    /// Changed functions that were refused, by new index.
    pub refused: BTreeSet<FunctionId>,
    /// Symbols that the loader has to find in other images of the process.
    pub imports: Vec<String>,
}

pub(super) struct Builder<'i, 'p, 'a> {
    pub(super) input: &'i Input<'i, 'p, 'a>,
    pub(super) sections: Vec<Section>,
    pub(super) symbols: Vec<Symbol>,
    pub(super) refusals: BTreeMap<Reason, Concerned>,
    pub(super) refused: BTreeSet<FunctionId>,
    pub(super) function_symbols: HashMap<(FunctionId, usize), usize>,
    pub(super) object_symbols: HashMap<ObjectId, usize>,
    pub(super) target_symbols: HashMap<(String, u64), usize>,
    pub(super) constant_symbols: BTreeMap<(Vec<u8>, u64), usize>,
    /// Unnamed constants that each function takes, as far as they stay together.
    pub(super) constant_groups: HashMap<FunctionId, Vec<Group>>,
    /// Where the strings of a function that stay together begin in the replacement, and their symbol.
    pub(super) placed_texts: HashMap<(User, u64), usize>,
    pub(super) slot_symbols: HashMap<u64, usize>,
    pub(super) stub_symbols: HashMap<usize, usize>,
    pub(super) import_symbols: BTreeMap<String, usize>,
    /// New symbols that other images may define too.
    pub(super) exports: BTreeSet<String>,
    pub(super) carried: HashMap<u64, usize>,
    /// Stretches of constant data with pointers that come along, by their first and last address.
    pub(super) windows: HashMap<(u64, u64), usize>,
    pub(super) functions: VecDeque<FunctionId>,
    pub(super) objects: VecDeque<ObjectId>,
    /// Bytes of the target that redirects write.
    taken: Vec<Range<u64>>,
    pub(super) reader: SecondReader,
    /// Unwind tables, if the target unwinds.
    pub(super) tables: Option<Tables>,
    /// What the registration of unwind tables takes from libraries, which new code does not.
    pub(super) own_imports: BTreeMap<String, usize>,
    /// Stubs of the target by the slot they jump through.
    pub(super) old_stubs: HashMap<u64, u64>,
}

/// Makes a patch of `input.changes`, or says why that cannot be done.
pub fn emit(input: &Input<'_, '_, '_>, generator: &str) -> Emission {
    let old_stubs = input.pair.old.image.linkage.stubs.iter().map(|(stub, slot)| (*slot, *stub)).collect();
    let builder = Builder {
        input,
        sections: Vec::new(),
        symbols: Vec::new(),
        refusals: BTreeMap::new(),
        refused: BTreeSet::new(),
        function_symbols: HashMap::new(),
        object_symbols: HashMap::new(),
        target_symbols: HashMap::new(),
        constant_symbols: BTreeMap::new(),
        constant_groups: HashMap::new(),
        placed_texts: HashMap::new(),
        slot_symbols: HashMap::new(),
        stub_symbols: HashMap::new(),
        import_symbols: BTreeMap::new(),
        exports: BTreeSet::new(),
        carried: HashMap::new(),
        windows: HashMap::new(),
        functions: VecDeque::new(),
        objects: VecDeque::new(),
        taken: Vec::new(),
        reader: SecondReader::new(),
        tables: None,
        own_imports: BTreeMap::new(),
        old_stubs,
    };
    builder.run(generator)
}

impl Builder<'_, '_, '_> {
    fn run(mut self, generator: &str) -> Emission {
        let gate = self.gate();
        self.prepare_unwinding();
        let mut changes: Vec<&Change> = self.input.changes.iter().collect();
        changes.sort_by_key(|change| self.input.pair.old.image.function(change.old).address());
        let entries =
            redirect::interior_targets(self.input.pair.old, changes.iter().map(|change| change.old));
        let mut functions = Vec::new();
        for change in changes {
            if !self.check_obstacles(change.old, change.new) {
                continue;
            }
            self.function(change.new);
            if let Some(function) = self.changed_function(change, gate, &entries) {
                functions.push(function);
            }
        }
        let mut new_functions = Vec::new();
        loop {
            if let Some(id) = self.functions.pop_front() {
                new_functions.push(id);
                let function = self.input.pair.new.image.function(id);
                if function.source.is_none() && self.input.pair.new.image.exports.contains(&function.name) {
                    self.exports.insert(function.name.clone());
                }
                if self.check_new(id) {
                    self.function(id);
                }
            } else if let Some(id) = self.objects.pop_front() {
                self.object(id);
            } else {
                break;
            }
        }
        new_functions.sort_by(|a, b| self.new_name(*a).cmp(self.new_name(*b)));
        for id in &new_functions {
            if let Some(symbol) = self.function_symbols.get(&(*id, 0)) {
                functions.push(self.new_function(*id, *symbol));
            }
        }
        let unwinding = self.unwinding();
        let refusals: Vec<Refusal> = self.refusals.into_iter().map(refusal).collect();
        let patch = (refusals.is_empty() && !functions.is_empty()).then(|| {
            let mut patch = Patch {
                target: image_ref(&self.input.pair.old.image),
                replacement: image_ref(&self.input.pair.new.image),
                generator: generator.to_owned(),
                functions,
                sections: self.sections,
                symbols: self.symbols,
                gate,
                exports: self.exports.into_iter().collect(),
                unwinding,
            };
            imports::to_the_end(&mut patch);
            patch
        });
        let imports = self.import_symbols.into_keys().collect();
        Emission { patch, refusals, new_functions, refused: self.refused, imports }
    }

    /// Finds out whether the target unwinds through its frames, and through those of the patch then.
    fn prepare_unwinding(&mut self) {
        let (old, new) = (&self.input.pair.old.image, &self.input.pair.new.image);
        let Some(sign) = sign_of_unwinding(old).or_else(|| sign_of_unwinding(new)) else { return };
        if self.input.changes.is_empty() {
            return;
        }
        match Unwinder::of(old) {
            Ok(unwinder) => self.tables = Some(Tables::new(unwinder, old, new)),
            Err(why) => {
                let detail = format!("exceptions or panics pass through its frames: {why}");
                self.refusals.entry((RefusalKind::Unwinding, sign, detail)).or_default();
            }
        }
    }

    /// The unwind tables of all code, and what makes them known.
    fn unwinding(&mut self) -> Option<patchfile::Unwinding> {
        let unwinder = self.tables.as_ref()?.unwinder;
        let (frames, code) = self.frame_section()?;
        Some(self.registration(unwinder, frames, code))
    }

    fn new_name(&self, id: FunctionId) -> &str {
        &self.input.pair.new.image.function(id).name
    }

    pub(super) fn refuse(&mut self, kind: RefusalKind, subject: &str, detail: String, function: FunctionId) {
        self.refused.insert(function);
        let name = self.new_name(function).to_owned();
        self.refusals.entry((kind, subject.to_owned(), detail)).or_default().functions.insert(name);
    }

    /// Refuses a reference that `function` makes at address `at` of the replacement.
    pub(super) fn refuse_reference(&mut self, no_place: NoPlace, at: u64, function: FunctionId) {
        let NoPlace { kind, subject, detail } = no_place;
        self.refuse(kind, &subject, detail.clone(), function);
        self.refusals.entry((kind, subject, detail)).or_default().places.insert(at);
    }

    /// One closed gate for the whole patch, in a cache line of its own.
    fn gate(&mut self) -> usize {
        let section = self.sections.len();
        self.sections.push(Section {
            name: ".rodata.gate".to_owned(),
            kind: SectionKind::ReadOnly,
            align: 64,
            contents: SectionContents::Bytes(vec![0; 64]),
            relocations: Vec::new(),
        });
        self.symbol(GATE_SYMBOL.to_owned(), Place::Patch { section, offset: 0 }, 1, SymbolKind::Object)
    }

    pub(super) fn symbol(&mut self, name: String, place: Place, size: u64, kind: SymbolKind) -> usize {
        self.symbols.push(Symbol { name, place, size, kind });
        self.symbols.len() - 1
    }

    /// A symbol for a place in the target.
    pub(super) fn target_symbol(&mut self, name: &str, address: u64, kind: SymbolKind) -> usize {
        if let Some(symbol) = self.target_symbols.get(&(name.to_owned(), address)) {
            return *symbol;
        }
        let symbol = self.symbol(name.to_owned(), Place::Target(LinkAddr(address)), 0, kind);
        self.target_symbols.insert((name.to_owned(), address), symbol);
        symbol
    }

    fn check_obstacles(&mut self, old: FunctionId, new: FunctionId) -> bool {
        let pair = self.input.pair;
        let name = self.new_name(new).to_owned();
        let old_function = pair.old.image.function(old);
        if !old_function.sized || !pair.new.image.function(new).sized {
            let detail = "it has no size in the symbol table (hand-written assembly?)".to_owned();
            self.refuse(RefusalKind::NotAFunction, &name, detail, new);
            return false;
        }
        if old_function.ifunc || pair.new.image.function(new).ifunc {
            let detail = "it is the resolver of an IFUNC, which has run already".to_owned();
            self.refuse(RefusalKind::NotAFunction, &name, detail, new);
            return false;
        }
        let old_code = pair.old.code(old);
        let undecodable =
            old_code.obstacles.iter().any(|obstacle| matches!(obstacle, Obstacle::Undecodable { .. }));
        if undecodable {
            let detail = "the target's version holds bytes that are no instruction".to_owned();
            self.refuse(RefusalKind::Undecodable, &name, detail, new);
            return false;
        }
        // The replacement's own labels are looked at below.
        let stored = old_code.obstacles.iter().find_map(|obstacle| match obstacle {
            Obstacle::Label { address } => Some(*address),
            _ => None,
        });
        if let Some(address) = stored {
            let detail = format!(
                "the target's jump at {address:#x} may go to a label whose address an earlier call stored: it would lead \
                 into the other version's code"
            );
            self.refuse(RefusalKind::InteriorReference, &name, detail, new);
            return false;
        }
        self.check_new(new)
    }

    /// Refuses what stands in the way of copying a function of the replacement.
    fn check_new(&mut self, id: FunctionId) -> bool {
        let pair = self.input.pair;
        let name = self.new_name(id).to_owned();
        let obstacles = pair.new.code(id).obstacles.clone();
        let mut clear = self.check_thread_locals(id);
        for obstacle in obstacles {
            let (kind, detail) = match obstacle {
                Obstacle::ThreadLocal { address } => (
                    RefusalKind::ThreadLocal,
                    format!("the thread-local access at {address:#x} of a library is a plain number"),
                ),
                Obstacle::Undecodable { address } => {
                    (RefusalKind::Undecodable, format!("the bytes at {address:#x} are no instruction"))
                }
                Obstacle::IndirectJump { address } => (
                    RefusalKind::JumpTable,
                    format!("the jump table of the indirect jump at {address:#x} is not understood"),
                ),
                Obstacle::Label { address } => (
                    RefusalKind::InteriorReference,
                    format!(
                        "the jump at {address:#x} may go to a label whose address an earlier call stored: it would lead \
                         into the other version's code"
                    ),
                ),
                Obstacle::CodeModel { address } => (
                    RefusalKind::UnknownReference,
                    format!(
                        "distances to data may be plain numbers here ({address:#x}); build without -mcmodel=medium or \
                         large"
                    ),
                ),
                Obstacle::Relocation { address } => (
                    RefusalKind::UnknownReference,
                    format!(
                        "the linker relocated the field at {address:#x}, which is no operand that is understood"
                    ),
                ),
                Obstacle::MaybeAddress { address, value } => (
                    RefusalKind::MaybeAddress,
                    format!(
                        "{value:#x} in the instruction at {address:#x} may be an address or a number; link with \
                         -Wl,--emit-relocs or as PIE"
                    ),
                ),
            };
            self.refuse(kind, &name, detail, id);
            clear = false;
        }
        clear
    }

    /// The function table's entry of a changed function, its redirect and its trampoline.
    fn changed_function(
        &mut self,
        change: &Change,
        gate: usize,
        entries: &redirect::InteriorTargets,
    ) -> Option<Function> {
        let pair = self.input.pair;
        let old = pair.old.image.function(change.old);
        let symbol = *self.function_symbols.get(&(change.new, 0))?;
        if let Some(target) = entries.entered(change.old) {
            let detail = format!("other code or a table of labels leads to {target:#x}, into its middle");
            self.refuse(RefusalKind::InteriorReference, &old.name, detail, change.new);
            return None;
        }
        if let Some(other) = self.split_alias(change) {
            let detail = format!(
                "it and `{other}` were one function and are two now; stored addresses do not tell them apart"
            );
            self.refuse(RefusalKind::AmbiguousFunction, &old.name, detail, change.new);
            return None;
        }
        if self.input.matching.is_by_order(change.new) {
            let detail = "several functions of this name are in files of the same name, or in one function, and more than one changed";
            self.refuse(RefusalKind::AmbiguousFunction, &old.name, detail.to_owned(), change.new);
            return None;
        }
        let plan = match redirect::plan(pair.old, change.old, entries, &self.taken) {
            Ok(plan) => plan,
            Err((kind, detail)) => {
                self.refuse(kind, &old.name, detail, change.new);
                return None;
            }
        };
        self.taken.extend(plan.writes());
        let code = match trampoline::make(self, change.old, &plan, gate, symbol) {
            Ok(code) => code,
            Err(detail) => {
                self.refuse(RefusalKind::EntryNotMovable, &old.name, detail, change.new);
                return None;
            }
        };
        let trampoline =
            self.text(format!("{}@trampoline", old.name), code.bytes, 16, code.relocations, change.new);
        let ranges = old.parts.iter().map(|part| CodeRange {
            address: LinkAddr(part.start),
            size: part.end - part.start,
            sha256: Sha256::of(pair.old.image.bytes(part.clone()).unwrap_or_default()),
        });
        let new = pair.new.image.function(change.new);
        let unit = self.input.sources.old_unit(old);
        Some(Function {
            name: old.name.clone(),
            source: self.input.sources.old_source(old),
            unit: unit.filter(|unit| self.input.sources.new_unit(new).as_ref() == Some(unit)),
            change: patchfile::Change::Changed,
            reasons: change.reasons.clone(),
            symbol,
            new_size: new.size(),
            old: ranges.collect(),
            redirect: Some(plan.redirect(trampoline)),
        })
    }

    /// A name of the old function that belongs to another function of the replacement.
    fn split_alias(&self, change: &Change) -> Option<String> {
        let (old, new) = (&self.input.pair.old.image, &self.input.pair.new.image);
        let old = old.function(change.old);
        let mut added = new.function_ids().filter(|id| self.input.matching.old_function(*id).is_none());
        added.find_map(|id| {
            let added = new.function(id);
            let same_file = added.source == old.source || added.source.is_none();
            old.aliases
                .iter()
                .find(|name| same_file && (**name == added.name || added.aliases.contains(name)))
                .cloned()
        })
    }

    fn new_function(&self, id: FunctionId, symbol: usize) -> Function {
        let function = self.input.pair.new.image.function(id);
        Function {
            name: function.name.clone(),
            source: self.input.sources.new_source(function),
            unit: self.input.sources.new_unit(function),
            change: patchfile::Change::New,
            reasons: vec!["reached from changed code".to_owned()],
            symbol,
            new_size: function.size(),
            old: Vec::new(),
            redirect: None,
        }
    }

    /// Adds a text section with one symbol; refuses code that the second disassembler reads differently.
    pub(super) fn text(
        &mut self,
        name: String,
        bytes: Vec<u8>,
        align: u64,
        relocations: Vec<Relocation>,
        function: FunctionId,
    ) -> usize {
        if let Err(disagreement) = self.reader.check(&bytes, 0) {
            self.refuse(RefusalKind::Undecodable, &name, disagreement.to_string(), function);
        }
        let section = self.sections.len();
        let size = bytes.len() as u64;
        self.sections.push(Section {
            name: format!(".text.{name}"),
            kind: SectionKind::Text,
            align,
            contents: SectionContents::Bytes(bytes),
            relocations,
        });
        self.symbol(name, Place::Patch { section, offset: 0 }, size, SymbolKind::Function)
    }
}

/// Kind, subject and detail of a refusal.
pub(super) type Reason = (RefusalKind, String, String);

/// Where one reason applies.
#[derive(Default)]
pub(super) struct Concerned {
    /// Functions by name.
    pub(super) functions: BTreeSet<String>,
    /// Addresses of references.
    pub(super) places: BTreeSet<u64>,
}

/// Addresses that a refusal names.
const SHOWN_PLACES: usize = 3;

fn refusal(((kind, subject, detail), concerned): (Reason, Concerned)) -> Refusal {
    let mut places: Vec<String> =
        concerned.places.iter().take(SHOWN_PLACES).map(|place| format!("{place:#x}")).collect();
    if concerned.places.len() > SHOWN_PLACES {
        places.push(format!("{} more", concerned.places.len() - SHOWN_PLACES));
    }
    let used = if places.is_empty() { String::new() } else { format!(" (used at {})", places.join(", ")) };
    Refusal { kind, subject, detail: detail + &used, functions: concerned.functions.into_iter().collect() }
}

/// A rip-relative field at `offset` of an instruction that ends at `end`.
pub(super) fn pc_relative(offset: u64, end: u64, to: Placed) -> Relocation {
    Relocation {
        offset,
        kind: RelocationKind::Pc32,
        symbol: to.symbol,
        addend: to.offset - (end as i64 - offset as i64),
    }
}

fn image_ref(image: &crate::image::Image<'_>) -> ImageRef {
    ImageRef { name: image.name.clone(), build_id: image.build_id.clone() }
}
