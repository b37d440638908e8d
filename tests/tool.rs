//! Running the programs under test as a user does.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Ran {
    /// Exit status; None if a signal ended it.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Standard output as one JSON document.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("not one JSON document ({error}):\n{}{}", self.stdout, self.stderr)
        })
    }
}

/// Runs `patchgen` with these arguments.
pub fn patchgen<S: AsRef<OsStr>>(arguments: &[S]) -> Ran {
    run(&mut patchgen_command(arguments))
}

/// The command, for a test that wants to run it in its own way.
pub fn patchgen_command<S: AsRef<OsStr>>(arguments: &[S]) -> Command {
    let mut command = Command::new(binary("patchgen"));
    command.args(arguments);
    command
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Ran {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Ran {
        status: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Packages whose program is up to date.
static BUILT: Mutex<Vec<&str>> = Mutex::new(Vec::new());

/// The program as built from this tree: in the directory `TARDIGRADE_BIN` if that is set, as `make` does, else beside
/// the test's own executable.
///
/// Cargo gives a package the path of its own programs only, and builds only what the tested package depends on:
/// so the program is brought up to date here, once for each test executable.
pub(crate) fn binary(package: &'static str) -> PathBuf {
    if let Some(folder) = std::env::var_os("TARDIGRADE_BIN") {
        return PathBuf::from(folder).join(program_of(package));
    }
    let (program, folder) = (program_of(package), profile_folder());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if !built.contains(&package) {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(env!("CARGO_MANIFEST_DIR")).args([
            "build",
            "--quiet",
            "--offline",
            "-p",
            package,
        ]);
        if folder.file_name() == Some(OsStr::new("release")) {
            command.arg("--release");
        }
        command.arg("--target-dir").arg(folder.parent().expect("the profile's directory has a parent"));
        let ran = run(&mut command);
        assert_eq!(ran.status, Some(0), "{command:?}:\n{}", ran.stderr);
        built.push(package);
    }
    folder.join(program)
}

fn program_of(package: &str) -> &str {
    match package {
        "loader" => "tardigrade",
        other => other,
    }
}

/// `target/debug` or `target/release`: test executables are in its subdirectory `deps`.
fn profile_folder() -> PathBuf {
    let test = std::env::current_exe().expect("the test knows its own path");
    test.ancestors().nth(2).expect("test executables lie two levels deep").to_owned()
}
