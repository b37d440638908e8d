//! From two files to a verdict and a patch.

use crate::binding;
use crate::code::Program;
use crate::constants;
use crate::diff::{
    self, DataChange, FunctionChange, Matching, Pair, Sameness, compare_data, compare_functions,
    data_pointers, is_constant,
};
use crate::dwarf::{DebugInfo, DebugSections, LayoutChange, Surroundings};
use crate::emit::{Change, Emission, Input, emit};
use crate::error::InputError;
use crate::explain::explain;
use crate::identity;
use crate::image::{Function, FunctionId, ImageFile, ObjectId, Pointer, Referent, load, stem};
use crate::padding::Builds;
use crate::report::{
    Build, ChangeKind, Coverage, FunctionReport, Outcome, PatchReport, Refusal, RefusalKind, SCHEMA, Verdict,
};
use crate::source_lines::{SourceLines, Sources};
use crate::type_ids;
use crate::types::{self, TypeCheck};
use crate::vtables;
use crate::warnings;
use patchfile::PatchId;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Name and version that patches carry.
pub const GENERATOR: &str = concat!("patchgen ", env!("CARGO_PKG_VERSION"));

/// Most changed functions that are explained.
const MAX_EXPLAINED: usize = 1000;

/// The two builds to compare, and their debug files if these are not found by themselves.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'p> {
    /// The build that runs.
    pub old: &'p Path,
    /// The build with the fix.
    pub new: &'p Path,
    /// Separate debug file of `old`.
    pub old_debug: Option<&'p Path>,
    /// Separate debug file of `new`.
    pub new_debug: Option<&'p Path>,
}

/// A verdict, and the patch file if there is one.
#[derive(Debug)]
pub struct Diff {
    /// What was found out.
    pub verdict: Verdict,
    /// Bytes of the patch file.
    pub patch: Option<Vec<u8>>,
}

impl Diff {
    /// Takes the patch back if the layouts of the types that changed functions touch were not all compared.
    pub fn require_types(&mut self) {
        if self.verdict.types_checked || self.verdict.verdict == Outcome::Unchanged {
            return;
        }
        let detail = "not all layouts of types were compared, as the warnings say: compile both builds with -g, or name \
                      their debug files with --old-debug and --new-debug";
        self.verdict.refusals.push(Refusal::new(RefusalKind::TypesUnchecked, "types", detail));
        self.verdict.verdict = Outcome::Unpatchable;
        self.verdict.patch = None;
        self.patch = None;
    }
}

/// What the user may ask for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Patch functions in which only line numbers differ, too.
    pub include_line_only: bool,
}

/// Compares two builds and makes a patch if that can be done.
pub fn diff(inputs: &Inputs<'_>) -> Result<Diff, InputError> {
    diff_with(inputs, Options::default())
}

/// Like [`diff`], with options.
pub fn diff_with(inputs: &Inputs<'_>, options: Options) -> Result<Diff, InputError> {
    let (old_file, new_file) = rayon::join(
        || ImageFile::read(inputs.old, inputs.old_debug),
        || ImageFile::read(inputs.new, inputs.new_debug),
    );
    let (old_file, new_file) = (old_file?, new_file?);
    let (old, new) = rayon::join(|| load(&old_file).map(Program::new), || load(&new_file).map(Program::new));
    let (old, new) = (old?, new?);
    let pair = Pair { old: &old, new: &new };
    let beside = |image, debug: Option<_>| [Some(image), debug].into_iter().flatten().collect::<Vec<_>>();
    let old_sections =
        DebugSections::load_beside(old_file.debug_bytes(), &beside(inputs.old, inputs.old_debug));
    let new_sections =
        DebugSections::load_beside(new_file.debug_bytes(), &beside(inputs.new, inputs.new_debug));
    let mut notes = Vec::new();
    for error in [old_sections.as_ref().err(), new_sections.as_ref().err()].into_iter().flatten() {
        notes.push(format!("debugging information is not used: {error}"));
    }
    let old_debug = old_sections.as_ref().ok().and_then(Option::as_ref).map(DebugInfo::new);
    let new_debug = new_sections.as_ref().ok().and_then(Option::as_ref).map(DebugInfo::new);
    let lines = old_debug.as_ref().zip(new_debug.as_ref()).map(|(old, new)| SourceLines { old, new });

    let matching = match &lines {
        Some(lines) => Matching::new(&pair, lines),
        None => Matching::new(&pair, &()),
    };
    let total = old.image.functions.len().min(new.image.functions.len());
    if matching.matched_functions() * 2 < total {
        return Err(InputError::Unrelated {
            old: inputs.old.to_owned(),
            new: inputs.new.to_owned(),
            matched: matching.matched_functions(),
            total,
        });
    }

    let mut comparison = Comparison::new(&pair, &matching, lines.as_ref(), options);
    comparison.explain(old_debug.as_ref().zip(new_debug.as_ref()));
    let changes = comparison.changes();
    let debug = [old_debug.as_ref(), new_debug.as_ref()];
    let input = Input {
        pair: &pair,
        matching: &matching,
        changes: &changes,
        changed_constants: &comparison.changed_constants,
        sources: &debug,
    };
    let emission = emit(&input, GENERATOR);
    if let Some(debug) = old_debug.as_ref().filter(|_| emission.patch.is_some()) {
        notes.extend(warnings::dropped(&pair, &matching, &changes, debug));
    }
    let surroundings = comparison.surroundings(&changes, &emission, old_debug.as_ref());
    let types =
        comparison.check_types(&changes, &emission, &surroundings, (old_debug.as_ref(), new_debug.as_ref()));
    comparison.refusals.extend(emission.refusals.iter().cloned());
    comparison.refusals.extend(types.refusals.iter().cloned());
    let both = old_debug.as_ref().zip(new_debug.as_ref());
    comparison.refusals.extend(type_ids::check(&pair, &changes, both));
    comparison.refusals.extend(identity::refuse_functions(&pair, &matching, &changes, &surroundings, both));
    let (refusals, warnings) = identity::removed(&pair, &matching, &changes);
    comparison.refusals.extend(refusals);
    notes.extend(warnings);
    if let Some(patch) = &emission.patch {
        comparison.refusals.extend(identity::refuse_variables(&pair, &matching, patch, both));
    }
    Ok(comparison.finish(inputs, &debug, notes, &emission, types))
}

struct Comparison<'c, 'p, 'a> {
    pair: &'c Pair<'p, 'a>,
    matching: &'c Matching,
    functions: Vec<Option<FunctionChange>>,
    changed_constants: BTreeSet<ObjectId>,
    refusals: Vec<Refusal>,
}

impl<'c, 'p, 'a> Comparison<'c, 'p, 'a> {
    fn new(
        pair: &'c Pair<'p, 'a>,
        matching: &'c Matching,
        lines: Option<&SourceLines<'_, '_>>,
        options: Options,
    ) -> Self {
        let data = compare_data(pair, matching);
        let mut functions = match lines {
            Some(lines) => compare_functions(pair, matching, lines),
            None => compare_functions(pair, matching, &()),
        };
        if options.include_line_only {
            let changed = FunctionChange::Changed(vec!["line numbers".to_owned()]);
            let line_only = |change: &&mut _| **change == FunctionChange::LineOnly;
            functions.iter_mut().flatten().filter(line_only).for_each(|change| *change = changed.clone());
        }
        let changed_constants =
            data.iter().filter(|change| change.constant).map(|change| change.new).collect();
        let mut comparison =
            Comparison { pair, matching, functions, changed_constants, refusals: Vec::new() };
        comparison.spread_constants(&data);
        comparison.refuse_data(&data);
        comparison.refuse_reshaped();
        comparison.refuse_namesakes();
        comparison.refuse_constructors();
        comparison.refuse_thread_locals();
        comparison.refuse_sets();
        comparison
    }

    /// A function that uses a changed constant is a changed function.
    fn spread_constants(&mut self, data: &[DataChange]) {
        if self.changed_constants.is_empty() {
            return;
        }
        let image = &self.pair.new.image;
        for (index, change) in self.functions.iter_mut().enumerate() {
            let Some(new) = self.matching.new_function(FunctionId(index as u32)) else { continue };
            for id in objects_of(self.pair.new, new) {
                if !self.changed_constants.contains(&id) {
                    continue;
                }
                let detail = data.iter().find(|change| change.new == id).map_or("", |change| &change.detail);
                let reason = format!("the constant `{}` changed: {detail}", image.object(id).name);
                match change {
                    Some(FunctionChange::Changed(reasons)) if reasons.contains(&reason) => {}
                    Some(FunctionChange::Changed(reasons)) => reasons.push(reason),
                    _ => *change = Some(FunctionChange::Changed(vec![reason])),
                }
            }
        }
    }

    /// Adds reasons in terms of the source. Nobody reads those of a build in which everything changed.
    fn explain(&mut self, debug: Option<(&DebugInfo<'_>, &DebugInfo<'_>)>) {
        let (pair, matching) = (self.pair, self.matching);
        let changed =
            self.functions.iter().filter(|change| matches!(change, Some(FunctionChange::Changed(_))));
        if changed.count() > MAX_EXPLAINED {
            return;
        }
        self.functions.par_iter_mut().enumerate().for_each(|(index, change)| {
            let old = FunctionId(index as u32);
            if let (Some(FunctionChange::Changed(reasons)), Some(new)) = (change, matching.new_function(old))
            {
                let more = explain(pair, matching, (old, new), debug, reasons);
                reasons.extend(more);
            }
        });
    }

    /// Refuses changes of data that live code or live data holds on to.
    fn refuse_data(&mut self, data: &[DataChange]) {
        self.refusals.extend(constants::refuse(self.pair, data));
        for change in data.iter().filter(|change| !change.constant) {
            let (kind, detail) = if change.resized {
                (RefusalKind::VariableSize, change.detail.clone())
            } else {
                (RefusalKind::DataChanged, format!("{}, but the running process has its own", change.detail))
            };
            self.refusals.push(Refusal::new(kind, constants::subject(self.pair.new, change.new), detail));
        }
    }

    /// A variable that the compiler keeps in another form has another symbol: `p.body` is what `p` points to (clang,
    /// lib/Transforms/IPO/GlobalOpt.cpp). New code would begin with a fresh one.
    fn refuse_reshaped(&mut self) {
        let (old, new) = (&self.pair.old.image, &self.pair.new.image);
        let root = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
        let mut lost: BTreeMap<(String, Option<&str>), &str> = BTreeMap::new();
        for id in old.object_ids().filter(|id| self.matching.new_object(*id).is_none()) {
            let object = old.object(id);
            if !is_constant(old, id) && !object.range.is_empty() {
                lost.insert((root(&object.name), object.source.as_deref()), &object.name);
            }
        }
        for id in new.object_ids().filter(|id| self.matching.old_object(*id).is_none()) {
            let object = new.object(id);
            // `DW.ref.X` is a pointer to X for exception tables.
            if is_constant(new, id) || object.range.is_empty() || object.name.starts_with("DW.ref.") {
                continue;
            }
            let Some(name) = lost.get(&(root(&object.name), object.source.as_deref())) else { continue };
            if stem(name) != stem(&object.name) {
                let detail = format!("the target keeps it in another form, as `{name}`");
                let subject = constants::subject(self.pair.new, id);
                self.refusals.push(Refusal::new(RefusalKind::AmbiguousVariable, subject, detail));
            }
        }
    }

    /// Live data may hold the address of a function of Rust of which it is not known which new one it is.
    fn refuse_namesakes(&mut self) {
        for id in self.matching.uncertain_functions() {
            let name = &self.pair.old.image.function(id).name;
            let detail = "other functions share its path (closures of one function, items of one name that a macro makes), and \
                          it is not known which of the new ones live data that holds its address should call";
            self.refusals.push(Refusal {
                kind: RefusalKind::AmbiguousFunction,
                subject: name.clone(),
                detail: detail.to_owned(),
                functions: vec![name.clone()],
            });
        }
    }

    /// Constructors ran when the process started.
    fn refuse_constructors(&mut self) {
        let list = |program: &Program<'_>, name: &str| -> Vec<u64> {
            let section = program.image.sections.iter().find(|section| section.name == name);
            let pointers = section.map(|section| data_pointers(&program.image, section.range.clone()));
            let addresses =
                pointers.unwrap_or_default().into_iter().filter_map(|(_, pointer)| match pointer {
                    Pointer::Address(address) => Some(address),
                    _ => None,
                });
            addresses.collect()
        };
        for old in [".preinit_array", ".init_array"].iter().flat_map(|name| list(self.pair.old, name)) {
            let Some((id, 0, 0)) = self.pair.old.image.function_at(old) else { continue };
            if matches!(self.functions[id.0 as usize], Some(FunctionChange::Changed(_))) {
                let name = self.pair.old.image.function(id).name.clone();
                self.refusals.push(Refusal {
                    kind: RefusalKind::Constructor,
                    subject: name.clone(),
                    detail: "it runs when the image is loaded, so it has run already".to_owned(),
                    functions: vec![name],
                });
            }
        }
        for name in [".preinit_array", ".init_array", ".fini_array"] {
            let olds = list(self.pair.old, name);
            let news = list(self.pair.new, name);
            let same = olds.len() == news.len()
                && olds.iter().zip(&news).all(|(old, new)| {
                    let old = self.pair.old.image.function_at(*old).map(|(id, ..)| id);
                    let new = self.pair.new.image.function_at(*new).map(|(id, ..)| id);
                    old.and_then(|old| self.matching.new_function(old)) == new
                });
            if !same {
                let detail =
                    "the functions that run at start or exit are not the same; they have run already";
                self.refusals.push(Refusal::new(RefusalKind::Constructor, name, detail));
            }
        }
    }

    /// Threads that run have their copy of the initial thread-local values, and those to come get the target's.
    fn refuse_thread_locals(&mut self) {
        for (subject, detail) in diff::changed_thread_locals(self.pair, self.matching) {
            self.refusals.push(Refusal::new(RefusalKind::ThreadLocal, subject, detail));
        }
    }

    /// Sections whose ends the linker marks are tables that grow with each member.
    fn refuse_sets(&mut self) {
        let (old, new) = (&self.pair.old.image, &self.pair.new.image);
        let same = Sameness::strict(self.pair, self.matching);
        let names: BTreeSet<&str> =
            old.objects.iter().chain(&new.objects).filter_map(|object| object.marks()).collect();
        for name in names {
            let range = |image: &crate::image::Image<'_>| {
                let section = image.sections.iter().find(|section| section.name == name);
                section.map(|section| section.range.clone())
            };
            let result = match (range(old), range(new)) {
                (Some(old), Some(new)) if old.end - old.start == new.end - new.start => same.data(old, new),
                (None, None) => Ok(()),
                _ => Err("it has more or fewer members".to_owned()),
            };
            if let Err(detail) = result {
                let detail = format!("the linker marks its ends and code walks it: {detail}");
                self.refusals.push(Refusal::new(RefusalKind::DataChanged, format!("section {name}"), detail));
            }
        }
    }

    fn changes(&self) -> Vec<Change> {
        let changed = self.functions.iter().enumerate().filter_map(|(index, change)| {
            let old = FunctionId(index as u32);
            match change {
                Some(FunctionChange::Changed(reasons)) => {
                    Some(Change { old, new: self.matching.new_function(old)?, reasons: reasons.clone() })
                }
                _ => None,
            }
        });
        changed.collect()
    }

    /// What is around the functions of the patch.
    fn surroundings(
        &self,
        changes: &[Change],
        emission: &Emission,
        old: Option<&DebugInfo<'_>>,
    ) -> Surroundings {
        let news = changes.iter().map(|change| change.new).chain(emission.new_functions.iter().copied());
        let removed =
            self.pair.old.image.function_ids().filter(|id| self.matching.new_function(*id).is_none());
        let changed = changes.iter().map(|change| change.old);
        let callers = self.matching.callers(self.pair);
        types::surroundings(self.pair.old, callers, changed, removed, self.pair.new, news, old)
    }

    fn check_types(
        &self,
        changes: &[Change],
        emission: &Emission,
        surroundings: &Surroundings,
        (old, new): (Option<&DebugInfo<'_>>, Option<&DebugInfo<'_>>),
    ) -> TypeCheck {
        if changes.is_empty() {
            return TypeCheck { checked: old.is_some() && new.is_some(), ..TypeCheck::default() };
        }
        let (old_image, new_image) = (&self.pair.old.image, &self.pair.new.image);
        let named = |image: &crate::image::Image<'_>, id: FunctionId| {
            (image.function(id).name.clone(), image.function(id).address())
        };
        let old_functions: Vec<_> = changes.iter().map(|change| named(old_image, change.old)).collect();
        // A changed function has one name, that of the target.
        let changed = changes.iter().zip(&old_functions);
        let changed =
            changed.map(|(change, (name, _))| (name.clone(), new_image.function(change.new).address()));
        let new_functions: Vec<_> =
            changed.chain(emission.new_functions.iter().map(|id| named(new_image, *id))).collect();
        let news = changes.iter().map(|change| change.new).chain(emission.new_functions.iter().copied());
        let functions: Vec<FunctionId> = news.collect();
        let zeroed = |change: &LayoutChange| match (old, new) {
            (Some(old_debug), Some(new_debug)) => {
                let (old, new) = (self.pair.old, self.pair.new);
                Builds { old, new, old_debug, new_debug, functions: &functions }.prove_zeroed(change)
            }
            _ => Err("there is no debugging information".to_owned()),
        };
        let images = [old_image, new_image];
        let entries = vtables::Entries::new(self.pair, self.matching);
        types::check(images, old, &old_functions, new, &new_functions, surroundings, &zeroed, &entries)
    }

    fn finish(
        mut self,
        inputs: &Inputs<'_>,
        sources: &dyn Sources,
        notes: Vec<String>,
        emission: &Emission,
        types: TypeCheck,
    ) -> Diff {
        let coverage = self.coverage(emission);
        if coverage.changed > 0 || !self.refusals.is_empty() {
            self.refuse_undecided();
        }
        if let Some(patch) = emission.patch.as_ref().filter(|_| self.refusals.is_empty()) {
            let is_changed =
                |id: FunctionId| matches!(self.functions[id.0 as usize], Some(FunctionChange::Changed(_)));
            let refusals = binding::refusals(self.pair, self.matching, &is_changed, patch);
            self.refusals.extend(refusals);
        }
        let bytes = match &emission.patch {
            Some(patch) if self.refusals.is_empty() => match patch.to_bytes() {
                Ok(bytes) => Some(bytes),
                Err(error) => {
                    let detail = error.to_string();
                    self.refusals.push(Refusal::new(RefusalKind::UnknownReference, "patch", detail));
                    None
                }
            },
            _ => None,
        };
        let outcome = match (&bytes, self.refusals.is_empty()) {
            (Some(_), _) => Outcome::Patchable,
            (None, true) => Outcome::Unchanged,
            (None, false) => Outcome::Unpatchable,
        };
        let patch = bytes.as_ref().map(|bytes| PatchReport {
            path: None,
            id: PatchId::of_file(bytes),
            bytes: bytes.len() as u64,
        });
        let mut noted = notes;
        noted.extend(types.warnings);
        let exports = emission.patch.as_ref().map_or(&[][..], |patch| &patch.exports);
        noted.extend(warnings::bound_otherwise(self.pair, exports));
        if outcome == Outcome::Patchable {
            let is_assembly = |function: &Function| sources.is_assembly(function);
            noted.extend(warnings::about(
                self.pair,
                self.matching.callers(self.pair),
                self.matching,
                &self.changes(),
                &is_assembly,
            ));
            noted.extend(warnings::of_imports(&emission.imports));
        }
        let build = |path: &Path, image: &crate::image::Image<'_>| Build {
            path: path.to_owned(),
            build_id: image.build_id.clone(),
        };
        let verdict = Verdict {
            schema: SCHEMA,
            verdict: outcome,
            target: build(inputs.old, &self.pair.old.image),
            replacement: build(inputs.new, &self.pair.new.image),
            coverage,
            types_checked: types.checked,
            functions: self.function_reports(sources),
            refusals: self.refusals,
            warnings: noted,
            patch,
        };
        Diff { verdict, patch: bytes }
    }

    /// A patch without a function that changed unseen would be half a fix.
    fn refuse_undecided(&mut self) {
        let open = self.functions.iter().enumerate().filter_map(|(index, change)| match change {
            Some(FunctionChange::Undecided(reason)) => Some((FunctionId(index as u32), reason.clone())),
            _ => None,
        });
        let name = |id: FunctionId| self.pair.old.image.function(id).name.clone();
        let open: Vec<(String, String)> = open.map(|(id, reason)| (name(id), reason)).collect();
        if let Some((first, reason)) = open.first() {
            self.refusals.push(Refusal {
                kind: RefusalKind::Undecided,
                subject: first.clone(),
                detail: format!("it is not known whether it changed: {reason}"),
                functions: open.iter().map(|(name, _)| name.clone()).collect(),
            });
        }
    }

    fn coverage(&self, emission: &Emission) -> Coverage {
        let count = |wanted: fn(&FunctionChange) -> bool| {
            self.functions.iter().flatten().filter(|change| wanted(change)).count()
        };
        let new = self.pair.new.image.function_ids().filter(|id| self.matching.old_function(*id).is_none());
        Coverage {
            compared: self.functions.iter().flatten().count(),
            unchanged: count(|change| *change == FunctionChange::Unchanged),
            changed: count(|change| matches!(change, FunctionChange::Changed(_))),
            new: new.count(),
            removed: self.functions.iter().filter(|change| change.is_none()).count(),
            line_only: count(|change| *change == FunctionChange::LineOnly),
            refused: emission.refused.len(),
            undecided: count(|change| matches!(change, FunctionChange::Undecided(_))),
        }
    }

    fn function_reports(&self, sources: &dyn Sources) -> Vec<FunctionReport> {
        let (old_image, new_image) = (&self.pair.old.image, &self.pair.new.image);
        let of_old = self.functions.par_iter().enumerate().filter_map(|(index, change)| {
            let old = FunctionId(index as u32);
            let function = old_image.function(old);
            let new_size = self.matching.new_function(old).map_or(0, |new| new_image.function(new).size());
            let (change, reasons) = match change {
                None => (ChangeKind::Removed, Vec::new()),
                Some(FunctionChange::Unchanged) => return None,
                Some(FunctionChange::LineOnly) => (ChangeKind::LineOnly, Vec::new()),
                Some(FunctionChange::Changed(reasons)) => (ChangeKind::Changed, reasons.clone()),
                Some(FunctionChange::Undecided(reason)) => (ChangeKind::Undecided, vec![reason.clone()]),
            };
            Some(FunctionReport {
                name: function.name.clone(),
                source: sources.old_source(function),
                change,
                reasons,
                old_size: function.size(),
                new_size,
            })
        });
        let mut reports: Vec<FunctionReport> = of_old.collect();
        for id in new_image.function_ids().filter(|id| self.matching.old_function(*id).is_none()) {
            let function = new_image.function(id);
            reports.push(FunctionReport {
                name: function.name.clone(),
                source: sources.new_source(function),
                change: ChangeKind::New,
                reasons: Vec::new(),
                old_size: 0,
                new_size: function.size(),
            });
        }
        reports.sort_by(|a, b| (a.change, &a.name, &a.source).cmp(&(b.change, &b.name, &b.source)));
        reports
    }
}

/// The named objects that a function refers to.
fn objects_of<'p>(program: &'p Program<'_>, id: FunctionId) -> impl Iterator<Item = ObjectId> + use<'p> {
    program.code(id).references.iter().filter_map(|reference| match reference.referent {
        Referent::Object { id, .. } => Some(id),
        _ => None,
    })
}
