//! How the sources of a case become programs.

use super::Case;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who compiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// gcc and g++.
    Gcc,
    /// clang and clang++.
    Clang,
}

impl Compiler {
    /// The name of its program for C.
    pub fn name(self) -> &'static str {
        self.driver(false)
    }

    fn driver(self, cpp: bool) -> &'static str {
        match (self, cpp) {
            (Compiler::Gcc, false) => "gcc",
            (Compiler::Gcc, true) => "g++",
            (Compiler::Clang, false) => "clang",
            (Compiler::Clang, true) => "clang++",
        }
    }
}

/// How both builds are compiled and linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The compiler.
    pub compiler: Compiler,
    /// The optimisation level, as `-O2`.
    pub optimisation: &'static str,
    /// With `endbr64` at each entry that may be called through a pointer.
    pub branch_protection: bool,
    /// At a fixed address, with the relocations that the linker kept, instead of position independent.
    pub fixed: bool,
    /// Optimised once more as a whole by the linker.
    pub link_time: bool,
}

impl Configuration {
    /// What the tests use: gcc, `-O2`, position independent.
    pub const USUAL: Configuration = Configuration {
        compiler: Compiler::Gcc,
        optimisation: "-O2",
        branch_protection: true,
        fixed: false,
        link_time: false,
    };

    /// The configurations of the matrix: both compilers at all levels, position independent with branch protection and
    /// at a fixed address without it; at `-O2` the other two combinations too; link-time optimisation at the levels
    /// that it comes with.
    pub fn matrix() -> Vec<Self> {
        let mut all = Vec::new();
        for compiler in [Compiler::Gcc, Compiler::Clang] {
            for optimisation in ["-O0", "-O1", "-O2", "-O3", "-Os"] {
                for (fixed, branch_protection) in [(false, true), (true, false), (false, false), (true, true)]
                {
                    let usual = fixed != branch_protection;
                    let configuration =
                        Configuration { compiler, optimisation, branch_protection, fixed, link_time: false };
                    if usual || optimisation == "-O2" {
                        all.push(configuration);
                    }
                    if usual && matches!(optimisation, "-O2" | "-O3") {
                        all.push(Configuration { link_time: true, ..configuration });
                    }
                }
            }
        }
        all
    }

    fn common(&self) -> Vec<&'static str> {
        let protection = if self.branch_protection { "-fcf-protection=full" } else { "-fcf-protection=none" };
        let mut flags = vec![self.optimisation, "-g", "-w", "-pthread", protection];
        if self.link_time {
            flags.push("-flto");
        }
        flags
    }
}

impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.compiler.name(), self.optimisation)?;
        write!(f, " {}", if self.fixed { "no-pie" } else { "pie" })?;
        write!(f, " {}", if self.branch_protection { "cet" } else { "no-cet" })?;
        f.write_str(if self.link_time { " lto" } else { "" })
    }
}

/// One build of a case.
#[derive(Debug)]
pub(super) struct Build {
    /// What runs.
    pub(super) program: PathBuf,
    /// The image that is compared and patched.
    pub(super) image: PathBuf,
}

impl Build {
    /// Compiles the case in `folder`.
    ///
    /// Both builds use the same source paths, and objects of the same names in folders of their own.
    #[track_caller]
    pub(super) fn new(case: &Case, configuration: &Configuration, folder: &Path, new: bool) -> Self {
        std::fs::create_dir(folder).expect("a directory for the build");
        let fixed = case.directives.fixed.unwrap_or(configuration.fixed);
        let cpp = case.program.iter().chain(&case.library).any(|file| is_cpp(file));
        let run = |cpp: bool, arguments: &[&OsStr]| {
            let mut command = Command::new(configuration.compiler.driver(cpp));
            command.current_dir(folder).args(configuration.common()).args(arguments);
            // Libraries come after what needs them.
            command.args(&case.directives.flags);
            let ran = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
            assert!(ran.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&ran.stderr));
        };
        let compile = |files: &[PathBuf], form: &str| -> Vec<String> {
            let mut objects = Vec::new();
            for file in files {
                let object = format!("{}.o", file.file_stem().expect("a name").to_string_lossy());
                let include = format!("-I{}", super::folder().display());
                let mut arguments: Vec<&OsStr> = [form, &include, "-c", "-o", &object].map(OsStr::new).into();
                arguments.push(file.as_os_str());
                if new {
                    arguments.push(OsStr::new("-DNEW"));
                }
                run(is_cpp(file), &arguments);
                objects.push(object);
            }
            objects
        };
        let link = |objects: &[String], output: &str, form: &[&str]| {
            let mut arguments = form.to_vec();
            if fixed {
                arguments.push("-Wl,--emit-relocs");
            }
            arguments.extend(["-Wl,--build-id=sha1", "-o", output]);
            arguments.extend(objects.iter().map(String::as_str));
            if output == "program" && !case.library.is_empty() {
                arguments.extend(["libcase.so", "-Wl,-rpath,$ORIGIN"]);
            }
            run(cpp, &arguments.iter().map(OsStr::new).collect::<Vec<_>>());
        };
        if !case.library.is_empty() {
            link(&compile(&case.library, "-fPIC"), "libcase.so", &["-shared", "-fPIC"]);
        }
        let (form, linked) = if fixed { ("-fno-pie", "-no-pie") } else { ("-fPIE", "-pie") };
        link(&compile(&case.program, form), "program", &[form, linked]);
        let image = if case.library.is_empty() || case.directives.program { "program" } else { "libcase.so" };
        Build { program: folder.join("program"), image: folder.join(image) }
    }
}

fn is_cpp(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "cpp")
}
