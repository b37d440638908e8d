//! The verdict: what changed, what is refused and why.

use patchfile::{BuildId, PatchId};
use serde::{Serialize, Serializer};
use std::fmt;
use std::path::{Path, PathBuf};

/// The `schema` field of the verdict.
pub const SCHEMA: &str = "tardigrade.verdict/1";

/// What `patchgen diff` found out.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The answer.
    pub verdict: Outcome,
    /// The build that runs.
    pub target: Build,
    /// The build with the fix.
    pub replacement: Build,
    /// How much was compared, and with what result.
    pub coverage: Coverage,
    /// True if the layouts of all types that changed functions touch were compared.
    pub types_checked: bool,
    /// Functions that are not the same in both builds, by name.
    pub functions: Vec<FunctionReport>,
    /// Why there is no patch.
    pub refusals: Vec<Refusal>,
    /// What a release engineer should know although there is a patch.
    pub warnings: Vec<String>,
    /// The patch, if one was written.
    pub patch: Option<PatchReport>,
}

/// The answer in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// There is a patch.
    Patchable,
    /// Nothing to patch.
    Unchanged,
    /// No patch can be made, see the refusals.
    Unpatchable,
}

/// One of the two inputs.
#[derive(Clone, Debug, Serialize)]
pub struct Build {
    /// Where it was read.
    pub path: PathBuf,
    /// Its build ID.
    #[serde(serialize_with = "as_text")]
    pub build_id: BuildId,
}

/// Counts of functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Functions of the target that have a counterpart.
    pub compared: usize,
    /// The same in both builds.
    pub unchanged: usize,
    /// Changed.
    pub changed: usize,
    /// Only in the replacement.
    pub new: usize,
    /// Only in the target.
    pub removed: usize,
    /// The same but for line numbers.
    pub line_only: usize,
    /// Changed functions that cannot be patched.
    pub refused: usize,
    /// Functions without a difference that was found, but with code that could not be compared. With any of them
    /// there is no patch.
    pub undecided: usize,
}

/// A function that is not the same in both builds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FunctionReport {
    /// Symbol name.
    pub name: String,
    /// Source file, if known.
    pub source: Option<String>,
    /// What happened to it.
    pub change: ChangeKind,
    /// Why it is here.
    pub reasons: Vec<String>,
    /// Size in the target in bytes.
    pub old_size: u64,
    /// Size in the replacement in bytes.
    pub new_size: u64,
}

/// What happened to a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// Its code or a constant that it uses changed.
    Changed,
    /// Only in the replacement.
    New,
    /// Only in the target.
    Removed,
    /// Only line numbers changed.
    LineOnly,
    /// Not all of it could be compared.
    Undecided,
}

/// A reason why there is no patch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// What kind of reason.
    pub kind: RefusalKind,
    /// The function, variable or type.
    pub subject: String,
    /// What is wrong, in a sentence.
    pub detail: String,
    /// Functions concerned.
    pub functions: Vec<String>,
}

impl Refusal {
    /// A refusal that is not about single functions.
    pub fn new(kind: RefusalKind, subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Refusal { kind, subject: subject.into(), detail: detail.into(), functions: Vec::new() }
    }
}

/// Kinds of refusals. The names are part of the JSON contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RefusalKind {
    /// A type that live data has changed its layout.
    TypeLayout,
    /// The initial value of a live variable, or a constant that live data leads to, changed.
    DataChanged,
    /// The size of a variable changed.
    VariableSize,
    /// A static variable cannot be told from its namesakes.
    AmbiguousVariable,
    /// A function cannot be told from its namesakes in files of the same name.
    AmbiguousFunction,
    /// An address could mean two things that are not in the same place in the target.
    AmbiguousReference,
    /// A reference leads to something that cannot be accounted for.
    UnknownReference,
    /// A reference leads into the middle of another function.
    InteriorReference,
    /// The target does not import this symbol.
    NewImport,
    /// An indirect jump whose table is not understood.
    JumpTable,
    /// A number may be an address; the linker kept no relocations.
    MaybeAddress,
    /// A thread-local variable is new, or another one than in the target, or which one is meant is not certain.
    ThreadLocal,
    /// The new build's libraries would find other symbols than those of the process have found.
    BoundOtherwise,
    /// New code needs a variable aligned better than it is in the target.
    Alignment,
    /// It is not known whether a function changed.
    Undecided,
    /// Bytes that are no instruction, or that two disassemblers read differently.
    Undecodable,
    /// Assembly without a size, or a function that has run before any patch comes.
    NotAFunction,
    /// A short branch leaves the function and its target is out of reach.
    ShortBranch,
    /// There is no room for the redirect at the entry.
    EntryTooShort,
    /// A branch leads into the bytes that the redirect would overwrite.
    BranchIntoEntry,
    /// An instruction at the entry cannot be moved.
    EntryNotMovable,
    /// The target unwinds through its frames.
    Unwinding,
    /// Initialisation code changed; it has run already.
    Constructor,
    /// The layouts of types could not be compared, and the user asked that they be.
    TypesUnchecked,
}

/// The patch that was written.
#[derive(Clone, Debug, Serialize)]
pub struct PatchReport {
    /// Where it was written, if it was.
    pub path: Option<PathBuf>,
    /// Its ID.
    #[serde(serialize_with = "as_text")]
    pub id: PatchId,
    /// Its size.
    pub bytes: u64,
}

fn as_text<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ChangeKind::Changed => "changed",
            ChangeKind::New => "new",
            ChangeKind::Removed => "removed",
            ChangeKind::LineOnly => "line-only",
            ChangeKind::Undecided => "undecided",
        })
    }
}

impl fmt::Display for RefusalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_value(self).unwrap_or_default();
        f.write_str(text.as_str().unwrap_or_default())
    }
}

fn base_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The verdict for people.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "target       {} (build ID {})", base_name(&self.target.path), self.target.build_id)?;
        writeln!(
            f,
            "replacement  {} (build ID {})",
            base_name(&self.replacement.path),
            self.replacement.build_id
        )?;
        let shown =
            |change: ChangeKind| self.functions.iter().filter(move |function| function.change == change);
        let told = [ChangeKind::Changed, ChangeKind::New, ChangeKind::Undecided];
        for function in told.into_iter().flat_map(shown) {
            let source = function.source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
            writeln!(f, "{:<12} {}{source}", function.change, function.name)?;
            for reason in &function.reasons {
                writeln!(f, "             - {reason}")?;
            }
        }
        for refusal in &self.refusals {
            writeln!(f, "refused      {}: {}: {}", refusal.kind, refusal.subject, refusal.detail)?;
            if !refusal.functions.is_empty() {
                writeln!(f, "             concerns {}", refusal.functions.join(", "))?;
            }
        }
        for warning in &self.warnings {
            writeln!(f, "warning      {warning}")?;
        }
        let c = &self.coverage;
        writeln!(
            f,
            "coverage     {} compared: {} unchanged, {} changed, {} line-only; {} new, {} removed, {} refused, \
             {} undecided; types {}",
            c.compared,
            c.unchanged,
            c.changed,
            c.line_only,
            c.new,
            c.removed,
            c.refused,
            c.undecided,
            if self.types_checked { "checked" } else { "not checked" }
        )?;
        match (&self.verdict, &self.patch) {
            (Outcome::Patchable, Some(patch)) => {
                write!(f, "patchable    patch {}, {} bytes", patch.id, patch.bytes)?;
                match &patch.path {
                    Some(path) => writeln!(f, ", written to {}", path.display()),
                    None => writeln!(f, ", not written (no -o)"),
                }
            }
            (Outcome::Patchable, None) => writeln!(f, "patchable"),
            (Outcome::Unchanged, _) => writeln!(f, "unchanged    nothing to patch"),
            (Outcome::Unpatchable, _) => writeln!(f, "unpatchable"),
        }
    }
}
