//! Behaviour cases in Rust: `rust_cases/`.

use super::build::Build;
use super::{Directives, Ending, Judge};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A case: one file, in two builds told apart by `cfg(new)`.
#[derive(Clone, Debug)]
pub struct RustCase {
    /// Name of its file and of its crate.
    pub name: String,
    /// What it says about itself.
    pub directives: Directives,
    source: PathBuf,
}

/// How much is optimised as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkTime {
    /// Each codegen unit by itself.
    Off,
    /// The units of a crate together, which is the default.
    ThinLocal,
    /// The program with all of its libraries.
    Fat,
}

/// How both builds are compiled and linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the compiler or linker")]
pub struct RustConfiguration {
    /// `-C opt-level`.
    pub optimisation: &'static str,
    /// `-C lto`.
    pub link_time: LinkTime,
    /// `-C codegen-units`.
    pub units: u8,
    /// Panics unwind; otherwise they abort.
    pub unwind: bool,
    /// With the relocations that the linker kept.
    pub relocations: bool,
    /// Symbols and debugging information in a file of their own, as programs are shipped.
    pub stripped: bool,
    /// Names by RFC 2603 ("v0") also for the program's own crate.
    pub v0: bool,
}

impl RustConfiguration {
    /// What the tests use: cargo's release profile, with panics that abort.
    pub const USUAL: RustConfiguration = RustConfiguration {
        optimisation: "3",
        link_time: LinkTime::ThinLocal,
        units: 16,
        unwind: false,
        relocations: false,
        stripped: false,
        v0: false,
    };

    /// What Rust VMMs ship: all optimised as one, small, stripped.
    pub const SHIPPED: RustConfiguration = RustConfiguration {
        optimisation: "s",
        link_time: LinkTime::Fat,
        units: 1,
        stripped: true,
        ..RustConfiguration::USUAL
    };

    /// The configurations of the matrix.
    pub fn matrix() -> Vec<Self> {
        let usual = RustConfiguration::USUAL;
        let unwind = RustConfiguration { unwind: true, ..usual };
        let mut all = vec![usual, unwind];
        for optimisation in ["0", "1", "2", "s", "z"] {
            all.push(RustConfiguration { optimisation, ..usual });
        }
        all.push(RustConfiguration { optimisation: "s", ..unwind });
        all.push(RustConfiguration { optimisation: "0", ..unwind });
        for units in [1, 16] {
            all.push(RustConfiguration { units, link_time: LinkTime::Off, ..usual });
        }
        all.push(RustConfiguration { relocations: true, ..usual });
        all.push(RustConfiguration { v0: true, ..usual });
        all.push(RustConfiguration::SHIPPED);
        all.push(RustConfiguration { optimisation: "3", ..RustConfiguration::SHIPPED });
        all.push(RustConfiguration { unwind: true, ..RustConfiguration::SHIPPED });
        all.push(RustConfiguration { relocations: true, v0: true, ..RustConfiguration::SHIPPED });
        all
    }

    fn flags(&self) -> Vec<String> {
        let lto = match self.link_time {
            LinkTime::Off => "off",
            LinkTime::ThinLocal => "no",
            LinkTime::Fat => "fat",
        };
        let mut flags = vec![
            format!("-Copt-level={}", self.optimisation),
            format!("-Clto={lto}"),
            format!("-Ccodegen-units={}", self.units),
            format!("-Cpanic={}", if self.unwind { "unwind" } else { "abort" }),
            "-Cdebuginfo=2".to_owned(),
            "-Clink-arg=-Wl,--build-id=sha1".to_owned(),
        ];
        if self.v0 {
            flags.push("-Csymbol-mangling-version=v0".to_owned());
        }
        if self.relocations {
            flags.push("-Clink-arg=-Wl,--emit-relocs".to_owned());
        }
        flags
    }
}

impl fmt::Display for RustConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lto = match self.link_time {
            LinkTime::Off => "no lto",
            LinkTime::ThinLocal => "thin-local",
            LinkTime::Fat => "fat lto",
        };
        let panics = if self.unwind { "unwind" } else { "abort" };
        write!(f, "rustc {} {lto} {} units {panics}", self.optimisation, self.units)?;
        for (set, name) in [(self.relocations, "relocs"), (self.stripped, "stripped"), (self.v0, "v0")] {
            if set {
                write!(f, " {name}")?;
            }
        }
        Ok(())
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rust_cases")
}

impl RustCase {
    /// All cases, by name.
    #[track_caller]
    pub fn all() -> Vec<Self> {
        let entries = folder().read_dir().expect("the directory of cases");
        let files = entries.map(|entry| entry.expect("a readable directory").path());
        let names: BTreeSet<String> =
            files.map(|file| file.file_stem().expect("a name").to_string_lossy().into_owned()).collect();
        names.iter().filter(|name| *name != "case").map(|name| RustCase::named(name)).collect()
    }

    /// The case `rust_cases/NAME.rs`.
    #[track_caller]
    pub fn named(name: &str) -> Self {
        let source = folder().join(format!("{name}.rs"));
        RustCase { name: name.to_owned(), directives: Directives::read(&source), source }
    }

    /// Runs the case, as [`super::Case::run`] does.
    #[track_caller]
    pub fn run(&self, configuration: &RustConfiguration, exact: bool) -> Ending {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let [old, new] = ["old", "new"].map(|which| {
            let folder = directory.path().join(which);
            std::fs::create_dir(&folder).expect("a directory for the build");
            self.build(configuration, &folder, which == "new")
        });
        let judge = Judge { directives: &self.directives, exact, types: false, own: &self.name, readable };
        judge.judge(&old, &new, directory.path())
    }

    #[track_caller]
    fn build(&self, configuration: &RustConfiguration, folder: &Path, new: bool) -> Build {
        let run = |command: &mut Command| {
            let ran = command.current_dir(folder).output();
            let ran = ran.unwrap_or_else(|error| panic!("{command:?}: {error}"));
            assert!(ran.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&ran.stderr));
        };
        let source = format!("{}.rs", self.name);
        std::fs::write(folder.join(&source), edition(&self.source, new)).expect("a place for the source");
        std::fs::copy(self::folder().join("case.rs"), folder.join("case.rs")).expect("what all cases share");
        let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        command.args(["--edition=2024", "-Awarnings", "--check-cfg=cfg(new)", "-o", "program"]);
        command.args(configuration.flags()).args(&self.directives.flags).arg(&source);
        if new {
            command.arg("--cfg=new").args(&self.directives.new_flags);
        }
        run(&mut command);
        if configuration.stripped {
            run(Command::new("objcopy").args(["--only-keep-debug", "program", "program.debug"]));
            run(Command::new("objcopy").args([
                "--strip-all",
                "--add-gnu-debuglink=program.debug",
                "program",
            ]));
        }
        Build { program: folder.join("program"), image: folder.join("program") }
    }
}

/// The source of one of the two builds: lines behind `//new:` stand in the new one only, and move those behind them.
fn edition(source: &Path, new: bool) -> String {
    let text =
        std::fs::read_to_string(source).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
    let mut out = String::new();
    for line in text.lines() {
        match line.trim_start().strip_prefix("//new:") {
            Some(_) if !new => continue,
            Some(added) => out.push_str(added),
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

/// A symbol's path, without the hashes and numbers that move from build to build.
fn readable(symbol: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(symbol))
}
