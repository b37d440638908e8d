//! Two builds of one program, made with gcc while the test runs.

use patchgen::verdict::{Diff, Inputs, Options, diff_with};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What the linker makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A position-independent executable.
    Pie,
    /// An executable at a fixed address, with the relocations that the linker kept.
    FixedWithRelocations,
    /// An executable at a fixed address without them.
    Fixed,
    /// A shared library.
    Shared,
}

/// Sources of the two builds and how to compile them.
///
/// Source files have the same names in both builds, each build has its own directory, and flags that
/// distributions preset differently are given explicitly.
#[derive(Clone, Debug)]
pub struct Pair {
    old: Vec<(String, String)>,
    new: Vec<(String, String)>,
    form: Form,
    freestanding: bool,
    optimisation: &'static str,
    flags: Vec<String>,
    new_flags: Vec<String>,
}

impl Pair {
    /// Two versions of one C file.
    pub fn c(old: &str, new: &str) -> Self {
        Self::files(&[("code.c", old)], &[("code.c", new)])
    }

    /// A C file, and the same with `from` replaced by `to`, which must occur in it.
    pub fn edit(source: &str, from: &str, to: &str) -> Self {
        assert!(source.contains(from), "`{from}` does not occur in the source");
        Self::c(source, &source.replace(from, to))
    }

    /// Two versions of one C++ file.
    pub fn cpp(old: &str, new: &str) -> Self {
        Self::files(&[("code.cc", old)], &[("code.cc", new)])
    }

    /// Two versions of one assembly file, linked without start files and library, so that every byte of the image's
    /// code is the test's.
    pub fn asm(old: &str, new: &str) -> Self {
        let mut pair = Self::files(&[("code.S", old)], &[("code.S", new)]);
        pair.freestanding = true;
        pair.form = Form::Shared;
        pair
    }

    /// An assembly file, and the same with `from` replaced by `to`, which must occur in it.
    pub fn asm_edit(source: &str, from: &str, to: &str) -> Self {
        assert!(source.contains(from), "`{from}` does not occur in the source");
        Self::asm(source, &source.replace(from, to))
    }

    /// Several files with their names, in the order of the link.
    pub fn files(old: &[(&str, &str)], new: &[(&str, &str)]) -> Self {
        let own = |files: &[(&str, &str)]| {
            files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
        };
        Pair {
            old: own(old),
            new: own(new),
            form: Form::Pie,
            freestanding: false,
            optimisation: "-O2",
            flags: Vec::new(),
            new_flags: Vec::new(),
        }
    }

    /// What the linker makes; [`Form::Pie`] for C, [`Form::Shared`] for assembly if nothing is said.
    #[must_use]
    pub fn form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// The optimisation level, `-O2` if nothing is said.
    #[must_use]
    pub fn optimisation(mut self, level: &'static str) -> Self {
        self.optimisation = level;
        self
    }

    /// More flags for gcc, for both builds.
    #[must_use]
    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// More flags for gcc, for the new build only.
    #[must_use]
    pub fn new_flags(mut self, flags: &[&str]) -> Self {
        self.new_flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// With debugging information.
    #[must_use]
    pub fn debug_info(self) -> Self {
        self.flags(&["-g"])
    }

    /// Compiles both builds in a new directory.
    pub fn build(&self) -> Built {
        self.build_in(tempfile::tempdir().expect("a temporary directory"))
    }

    /// Compiles both builds in `directory`.
    pub fn build_in(&self, directory: TempDir) -> Built {
        let compile = |which: &str, files: &[(String, String)], flags: &[String]| {
            let folder = directory.path().join(which);
            std::fs::create_dir(&folder).expect("a directory for the build");
            self.compile(&folder, files, flags)
        };
        let old = compile("old", &self.old, &[]);
        let new = compile("new", &self.new, &self.new_flags);
        Built { directory, old, new }
    }

    /// Compiles each file to an object of a lasting name, as builds do, since the linker names sources that name no
    /// file themselves after their object; then links.
    fn compile(&self, folder: &Path, files: &[(String, String)], flags: &[String]) -> PathBuf {
        let form: &[&str] = match self.form {
            Form::Pie => &["-fPIE", "-pie"],
            Form::FixedWithRelocations => &["-fno-pie", "-no-pie", "-Wl,--emit-relocs"],
            Form::Fixed => &["-fno-pie", "-no-pie"],
            Form::Shared => &["-fPIC", "-shared"],
        };
        let gcc = |arguments: &[&str]| {
            let mut command = Command::new("gcc");
            command.current_dir(folder).args([self.optimisation, "-fcf-protection=none", "-w"]);
            command.args(["-fno-stack-protector", "-U_FORTIFY_SOURCE"]).args(form).args(arguments);
            // Libraries come after what needs them.
            command.args(&self.flags).args(flags);
            let ran = command.output().expect("gcc is installed");
            assert!(ran.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&ran.stderr));
        };
        let mut link = vec!["-Wl,--build-id=sha1"];
        if self.freestanding {
            link.extend(["-nostdlib", "-Wl,-z,now", "-Wl,-z,noexecstack"]);
            if self.form != Form::Shared {
                link.extend(["-Wl,-e,0"]);
            }
        }
        let objects: Vec<String> = files.iter().map(|(name, _)| format!("{name}.o")).collect();
        for ((name, text), object) in files.iter().zip(&objects) {
            let path = folder.join(name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).expect("a directory for the source");
            }
            std::fs::write(path, text).expect("the source is written");
            gcc(&["-c", name, "-o", object]);
        }
        let output = if self.form == Form::Shared { "libprogram.so" } else { "program" };
        link.extend(["-o", output]);
        link.extend(objects.iter().map(String::as_str));
        gcc(&link);
        folder.join(output)
    }
}

/// The two builds.
#[derive(Debug)]
pub struct Built {
    /// Directory that holds `old/` and `new/`; removed with this value.
    pub directory: TempDir,
    /// The build that runs.
    pub old: PathBuf,
    /// The build with the fix.
    pub new: PathBuf,
}

impl Built {
    /// What the generator says about the two builds.
    pub fn diff(&self) -> Diff {
        self.diff_with(Options::default())
    }

    /// What the generator says about the two builds, asked in a certain way.
    pub fn diff_with(&self, options: Options) -> Diff {
        let inputs = Inputs { old: &self.old, new: &self.new, old_debug: None, new_debug: None };
        let found = diff_with(&inputs, options)
            .unwrap_or_else(|error| panic!("the generator cannot read the builds: {error}"));
        if found.patch.is_some() {
            assert_eq!(found.verdict.coverage.undecided, 0, "a patch although something is undecided");
            assert!(found.verdict.refusals.is_empty(), "a patch although something is refused");
        }
        found
    }

    /// A path in the directory of this pair.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}
