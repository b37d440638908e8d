//! Assertions on a verdict.

use patchgen::report::{ChangeKind, Outcome, RefusalKind};
use patchgen::verdict::Diff;

/// What a test expects of a verdict; each method panics with the whole verdict if it is not so.
pub trait Expect {
    /// There is no patch, and this is among the reasons. `subject` is a part of the refusal's subject.
    fn refused(&self, kind: RefusalKind, subject: &str);
    /// There is no patch, for whatever reason.
    fn not_patched(&self);
    /// There is a patch, and exactly these functions are changed in it.
    fn patched(&self, changed: &[&str]);
    /// The builds are the same.
    fn unchanged(&self);
    /// Exactly these functions have this change.
    fn has(&self, change: ChangeKind, names: &[&str]);
}

impl Expect for Diff {
    fn refused(&self, kind: RefusalKind, subject: &str) {
        assert!(self.patch.is_none(), "a patch was made:\n{}", self.verdict);
        assert_eq!(self.verdict.verdict, Outcome::Unpatchable, "{}", self.verdict);
        let found = self.verdict.refusals.iter().any(|r| r.kind == kind && r.subject.contains(subject));
        assert!(found, "no refusal \"{kind}\" of \"{subject}\":\n{}", self.verdict);
    }

    fn not_patched(&self) {
        assert!(self.patch.is_none(), "a patch was made:\n{}", self.verdict);
        assert_eq!(self.verdict.verdict, Outcome::Unpatchable, "{}", self.verdict);
        assert!(!self.verdict.refusals.is_empty(), "no reason was told:\n{}", self.verdict);
    }

    fn patched(&self, changed: &[&str]) {
        assert_eq!(self.verdict.verdict, Outcome::Patchable, "{}", self.verdict);
        assert!(self.patch.is_some(), "patchable, but no patch:\n{}", self.verdict);
        self.has(ChangeKind::Changed, changed);
    }

    fn unchanged(&self) {
        assert_eq!(self.verdict.verdict, Outcome::Unchanged, "{}", self.verdict);
        assert!(self.patch.is_none());
    }

    fn has(&self, change: ChangeKind, names: &[&str]) {
        let functions = self.verdict.functions.iter().filter(|function| function.change == change);
        let mut found: Vec<&str> = functions.map(|function| function.name.as_str()).collect();
        let mut wanted = names.to_vec();
        found.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "functions that are {change}:\n{}", self.verdict);
    }
}
