//! What a case says about itself, in comments of its source.

use super::Ending;
use std::path::Path;

/// What must come out, and how the case is built. Each field is a line `// field: words` in the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// `changed`: functions that must be changed.
    pub changed: Vec<String>,
    /// `new`: functions that only the new build has.
    pub new: Vec<String>,
    /// `removed`: functions that only the old build has.
    pub removed: Vec<String>,
    /// `line-only`: functions in which only line numbers differ.
    pub line_only: Vec<String>,
    /// `refused`: a kind of refusal, and a part of its subject if there is one. One line for each refusal.
    pub refused: Vec<(String, String)>,
    /// `flags`: more flags for the compiler and the linker.
    pub flags: Vec<String>,
    /// `new-flags`: more flags for the new build of a case in Rust.
    pub new_flags: Vec<String>,
    /// `only`: the one compiler that can build the case, `gcc` or `clang`.
    pub only: Option<String>,
    /// `lines`: what the program prints while it is patched and unpatched, where this is not just the old build's line
    /// or the new build's one; separated by `|`.
    pub lines: Option<Vec<String>>,
    /// `same-output`: both builds print the same.
    pub same_output: bool,
    /// `fixed`: always built for a fixed address; `pie`: never.
    pub fixed: Option<bool>,
    /// `image: program`: the program is patched although there is a library.
    pub program: bool,
}

impl Directives {
    /// How the case must end in the usual configuration.
    pub fn wanted(&self) -> Ending {
        if !self.refused.is_empty() {
            Ending::Refused(self.refused.iter().map(|(kind, _)| kind.clone()).collect())
        } else if self.changed.is_empty() {
            Ending::Unchanged
        } else {
            Ending::Right
        }
    }

    /// Reads the directives of a source file. A line that looks like one and is none is an error.
    #[track_caller]
    pub fn read(path: &Path) -> Self {
        // Names of Rust have spaces in them.
        let rust = path.extension().is_some_and(|extension| extension == "rs");
        let text =
            std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut directives = Directives::default();
        for line in text.lines().filter_map(|line| line.strip_prefix("// ")) {
            let Some((field, value)) = line.split_once(':') else {
                continue;
            };
            directives.set(field, value.trim(), rust).unwrap_or_else(|| panic!("{}: {line}", path.display()));
        }
        directives
    }

    fn set(&mut self, field: &str, value: &str, whole: bool) -> Option<()> {
        let words = || value.split_whitespace().map(str::to_owned);
        if whole {
            let names = match field {
                "changed" => &mut self.changed,
                "new" => &mut self.new,
                "removed" => &mut self.removed,
                "line-only" => &mut self.line_only,
                _ => return self.set(field, value, false),
            };
            names.push(value.to_owned());
            return Some(());
        }
        match field {
            "changed" => self.changed.extend(words()),
            "new" => self.new.extend(words()),
            "removed" => self.removed.extend(words()),
            "line-only" => self.line_only.extend(words()),
            "flags" => self.flags.extend(words()),
            "new-flags" => self.new_flags.extend(words()),
            "refused" => {
                let (kind, subject) = value.split_once(' ').unwrap_or((value, ""));
                self.refused.push((kind.to_owned(), subject.to_owned()));
            }
            "only" if matches!(value, "gcc" | "clang") => self.only = Some(value.to_owned()),
            "lines" => self.lines = Some(value.split('|').map(|line| line.trim().to_owned()).collect()),
            "same-output" => self.same_output = true,
            "fixed" => self.fixed = Some(true),
            "pie" => self.fixed = Some(false),
            "image" if value == "program" => self.program = true,
            _ => return None,
        }
        Some(())
    }
}
