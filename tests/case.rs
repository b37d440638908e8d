//! Behaviour cases: programs in `cases/` that do a step for each line of input, in an old and a new build. While the
//! patch is applied each step must do what the new build does, otherwise what the old one does.

mod build;
mod directives;
mod rust;

pub use build::{Compiler, Configuration};
pub use directives::Directives;
pub use rust::{RustCase, RustConfiguration};

use crate::live::{Live, operate};
use crate::tool::{Ran, patchgen};
use build::Build;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Steps between two operations.
const STRIDE: usize = 2;

/// What happens to the target, and whether it is patched afterwards.
const PHASES: [(&str, bool); 4] = [("", false), ("apply", true), ("revert", false), ("apply", true)];

/// One test for each case that is named, which calls `run` with its name, and one that there is none beside them.
#[macro_export]
macro_rules! cases {
    ($cases:ty, $run:path: $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $run(stringify!($name));
            }
        )*

        #[test]
        fn every_case_is_run() {
            let found: Vec<String> = <$cases>::all().into_iter().map(|case| case.name).collect();
            let mut listed = vec![$(stringify!($name)),*];
            listed.sort_unstable();
            assert_eq!(found, listed);
        }
    };
}

/// A case with its sources.
#[derive(Clone, Debug)]
pub struct Case {
    /// Name of its file or directory.
    pub name: String,
    /// What it says about itself.
    pub directives: Directives,
    program: Vec<PathBuf>,
    library: Vec<PathBuf>,
}

/// How a case ended well. Everything else is a panic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// Every step did what it must.
    Right,
    /// The builds are the same, and so is what they print.
    Unchanged,
    /// There is no patch, for these kinds of reasons.
    Refused(BTreeSet<String>),
    /// The loader did not apply the patch now.
    Busy(String),
}

/// The directory of all cases.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

impl Case {
    /// All cases, by name.
    #[track_caller]
    pub fn all() -> Vec<Self> {
        let mut names = BTreeSet::new();
        for entry in folder().read_dir().expect("the directory of cases") {
            let path = entry.expect("a readable directory").path();
            if path.extension().is_none_or(|extension| extension != "h") {
                names.insert(path.file_stem().expect("a name").to_string_lossy().into_owned());
            }
        }
        names.iter().map(|name| Case::named(name)).collect()
    }

    /// The case `cases/NAME.c`, `cases/NAME.cpp`, or the directory `cases/NAME`, whose `main.c` or `main.cpp` has the
    /// directives, and whose files beginning with `lib` make a library.
    #[track_caller]
    pub fn named(name: &str) -> Self {
        let mut files = Vec::new();
        for extension in ["c", "cpp"] {
            let file = folder().join(format!("{name}.{extension}"));
            if file.exists() {
                files.push(file);
            }
        }
        if let Ok(entries) = folder().join(name).read_dir() {
            files.extend(entries.map(|entry| entry.expect("a readable directory").path()));
            files.retain(|file| file.extension().is_some_and(|extension| extension != "h"));
            files.sort();
        }
        let stem = |file: &Path| file.file_stem().expect("a name").to_string_lossy().into_owned();
        let main = files.iter().find(|file| files.len() == 1 || stem(file) == "main");
        let main = main.unwrap_or_else(|| panic!("there is no case {name}"));
        let directives = Directives::read(main);
        let (library, program) = files.into_iter().partition(|file| stem(file).starts_with("lib"));
        Case { name: name.to_owned(), directives, program, library }
    }

    /// True if this configuration can build the case.
    pub fn fits(&self, configuration: &Configuration) -> bool {
        let compiler = configuration.compiler.name();
        self.directives.only.as_deref().is_none_or(|only| only == compiler)
            && self.directives.fixed.is_none_or(|fixed| fixed == configuration.fixed)
    }

    /// Runs the case. With `exact` the answer of the generator must be what the directives say; otherwise any answer
    /// is good that is not wrong, since inlining differs from configuration to configuration. Panics otherwise.
    #[track_caller]
    pub fn run(&self, configuration: &Configuration, exact: bool) -> Ending {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let [old, new] = ["old", "new"]
            .map(|which| Build::new(self, configuration, &directory.path().join(which), which == "new"));
        // Nothing describes the types of assembly.
        let assembly =
            self.program.iter().any(|file| file.extension().is_some_and(|extension| extension == "S"));
        let judge =
            Judge { directives: &self.directives, exact, types: !assembly, own: "", readable: str::to_owned };
        judge.judge(&old, &new, directory.path())
    }
}

/// Compares what two builds do with what a patch makes of the first one.
struct Judge<'j> {
    directives: &'j Directives,
    /// The verdict must be what the directives say.
    exact: bool,
    /// Types must be checked.
    types: bool,
    /// New and removed functions count only with this in their names: libraries come with instances of their own.
    own: &'j str,
    /// The name of the directives for a symbol.
    readable: fn(&str) -> String,
}

impl Judge<'_> {
    #[track_caller]
    fn judge(&self, old: &Build, new: &Build, folder: &Path) -> Ending {
        let (old_lines, new_lines) = (lines_of(&old.program), lines_of(&new.program));
        if self.exact {
            assert_eq!(old_lines == new_lines, self.directives.same_output, "{old_lines:?} {new_lines:?}");
        }

        let patch = folder.join("fix.tgp");
        let arguments =
            ["diff".as_ref(), old.image.as_os_str(), new.image.as_os_str(), "--json".as_ref(), "-o".as_ref()];
        let ran = patchgen(&[&arguments[..], &[patch.as_os_str()]].concat());
        let verdict = ran.json();
        if self.exact {
            self.assert_verdict(&verdict);
        }
        match ran.status {
            Some(0) => {}
            Some(3) => {
                assert_eq!(old_lines, new_lines, "unchanged, but the builds print other lines");
                return Ending::Unchanged;
            }
            Some(4) => return Ending::Refused(refusals(&verdict).map(|(kind, _)| kind).collect()),
            _ => panic!("{ran:?}"),
        }
        let expected = self.directives.lines.clone().unwrap_or_else(|| {
            let patched = PHASES.iter().flat_map(|(_, patched)| [*patched; STRIDE]);
            let pairs = old_lines.iter().zip(&new_lines);
            pairs.zip(patched).map(|((old, new), patched)| if patched { new } else { old }.clone()).collect()
        });
        live(&old.program, &patch, &expected)
    }

    #[track_caller]
    fn assert_verdict(&self, verdict: &Value) {
        let wanted = self.directives;
        for (change, names) in [
            ("changed", &wanted.changed),
            ("new", &wanted.new),
            ("removed", &wanted.removed),
            ("line-only", &wanted.line_only),
        ] {
            let functions = verdict["functions"].as_array().expect("a list").iter();
            let functions = functions.filter(|function| function["change"] == change);
            let mut found: Vec<_> =
                functions.map(|function| (self.readable)(function["name"].as_str().unwrap_or(""))).collect();
            if matches!(change, "new" | "removed") {
                found.retain(|name| name.contains(self.own));
            }
            let mut names = names.clone();
            found.sort_unstable();
            names.sort_unstable();
            assert_eq!(found, names, "functions that are {change}: {verdict:#}");
        }
        if verdict["verdict"] == "patchable" && self.types {
            assert_eq!(verdict["types_checked"], true, "the layouts of types: {verdict:#}");
        }
        let found: Vec<_> = refusals(verdict).collect();
        let matches = |(kind, subject): &(String, String), wanted: &(String, String)| {
            *kind == wanted.0 && subject.contains(&wanted.1)
        };
        let all = wanted.refused.iter().all(|wanted| found.iter().any(|found| matches(found, wanted)));
        let none_else = found.iter().all(|found| wanted.refused.iter().any(|wanted| matches(found, wanted)));
        assert!(all && none_else, "refused must be {:?}: {verdict:#}", wanted.refused);
    }
}

/// Kind and subject of each refusal.
fn refusals(verdict: &Value) -> impl Iterator<Item = (String, String)> + '_ {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = verdict["refusals"].as_array().expect("a list").iter();
    all.map(move |refusal| (text(&refusal["kind"]), text(&refusal["subject"])))
}

/// The outcome that the loader reports, with its reason if it tells one.
fn outcome(ran: &Ran) -> String {
    let report = &ran.json()["results"][0];
    let text = |field: &str| report[field].as_str().map(str::to_owned);
    [text("outcome"), text("reason")].into_iter().flatten().collect::<Vec<_>>().join(": ")
}

/// What a program prints for all steps.
#[track_caller]
fn lines_of(program: &Path) -> Vec<String> {
    let mut command = Command::new(program);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut input = child.stdin.take().expect("a pipe");
    for step in 0..PHASES.len() * STRIDE {
        writeln!(input, "{step}").expect("the program reads its input");
    }
    drop(input);
    let output = child.wait_with_output().expect("the program can be waited for");
    assert!(output.status.success(), "{}: {output:?}", program.display());
    let text = String::from_utf8(output.stdout).expect("text");
    let mut lines = text.lines().map(|line| line.trim_end().to_owned());
    assert_eq!(lines.next().as_deref(), Some("ready"));
    lines.collect()
}

/// Runs the program through all phases.
#[track_caller]
fn live(program: &Path, patch: &Path, expected: &[String]) -> Ending {
    assert_eq!(expected.len(), PHASES.len() * STRIDE, "one line for each step: {expected:?}");
    let mut live = Live::start(program, &[]);
    let mut found = Vec::new();
    for (phase, (operation, patched)) in PHASES.into_iter().enumerate() {
        if !operation.is_empty() {
            let ran = operate(operation, patch, live.pid(), &["--json"]);
            if ran.status == Some(4) {
                assert_eq!(found, expected[..found.len()], "before the loader gave up");
                return Ending::Busy(outcome(&ran));
            }
            assert_eq!(ran.status, Some(0), "{ran:?}");
            assert_eq!(outcome(&ran), if patched { "applied" } else { "reverted" }, "{ran:?}");
        }
        for step in phase * STRIDE..(phase + 1) * STRIDE {
            found.push(live.ask(&step.to_string()));
        }
    }
    assert_eq!(found, expected, "what the patched program prints");
    live.quit();
    Ending::Right
}
