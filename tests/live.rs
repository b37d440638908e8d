//! Running targets: programs that take commands on standard input, and what a test does to them from outside.

use crate::pair::{Built, Pair};
use crate::snapshot::{Snapshot, thread_states};
use crate::tool::{Ran, binary, patchgen, run};
use patchfile::Patch;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a target may take to answer, start or end. Machines under load are slow.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long `tardigrade` may take, however long the timeouts are that tests give it.
const LONGEST: Duration = Duration::from_secs(40);

/// Runs `tardigrade` with these arguments.
#[track_caller]
pub fn tardigrade<S: AsRef<OsStr>>(arguments: &[S]) -> Ran {
    run_to_end(&mut tardigrade_command(arguments))
}

/// Starts a command whose output is collected.
pub fn spawn(command: &mut Command) -> Child {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    child.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Waits for a command to end. Kills it and panics if it does not: a loader that hangs holds its target.
#[track_caller]
pub fn ended(mut child: Child) -> Ran {
    let deadline = Instant::now() + LONGEST;
    while child.try_wait().expect("the child can be waited for").is_none() {
        if Instant::now() >= deadline {
            let _ = child.kill();
            panic!("it did not end within {LONGEST:?}: {:?}", child.wait_with_output());
        }
        sleep(Duration::from_millis(1));
    }
    let output = child.wait_with_output().expect("the child can be waited for");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Runs a command to its end, which must come soon.
#[track_caller]
pub fn run_to_end(command: &mut Command) -> Ran {
    ended(spawn(command))
}

/// The command, for a test that wants to start it in its own way.
pub fn tardigrade_command<S: AsRef<OsStr>>(arguments: &[S]) -> Command {
    let mut command = Command::new(binary("loader"));
    command.args(arguments);
    command
}

/// Runs `tardigrade` with an operation on one process.
#[track_caller]
pub fn operate(operation: &str, patch: impl AsRef<OsStr>, pid: u32, more: &[&str]) -> Ran {
    run_to_end(&mut operation_command(operation, patch, pid, more))
}

/// Applies or reverts, and asserts that it was done. Returns the report of it.
#[track_caller]
pub fn done(operation: &str, patch: impl AsRef<OsStr>, pid: u32) -> Value {
    let ran = operate(operation, patch, pid, &["--json"]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let result = ran.json()["results"][0].clone();
    let expected = if operation == "apply" { "applied" } else { "reverted" };
    assert_eq!(result["outcome"], expected, "{result}");
    result
}

/// The command of [`operate`].
pub fn operation_command(operation: &str, patch: impl AsRef<OsStr>, pid: u32, more: &[&str]) -> Command {
    let mut command = tardigrade_command(&[operation]);
    command.arg(patch).arg("--pid").arg(pid.to_string()).args(more);
    command
}

/// Asserts that an operation ended with this exit status, and that it said why in one line on standard error with all
/// of `words` in it.
#[track_caller]
pub fn refused(ran: &Ran, status: i32, words: &[&str]) {
    assert_eq!(ran.status, Some(status), "{ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "one line says why: {ran:?}");
    assert!(ran.stderr.starts_with("tardigrade: "), "{ran:?}");
    for word in words {
        assert!(ran.stderr.contains(word), "\"{word}\" is missing: {ran:?}");
    }
}

/// Compiles one C file of the directory `targets`.
pub fn compile_helper(source: &str, folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(format!("{name}.c"));
    std::fs::write(&file, source).expect("the source is written");
    let program = folder.join(name);
    let ran = run(Command::new("gcc").args(["-O2", "-w", "-pthread", "-o"]).arg(&program).arg(&file));
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    program
}

/// Two builds and the patch that leads from one to the other.
#[derive(Debug)]
pub struct Fix {
    /// The builds.
    pub built: Built,
    /// The patch file.
    pub file: PathBuf,
    /// Its contents.
    pub patch: Patch,
}

impl Fix {
    /// Compiles the builds, which use threads, and has the patch made.
    #[track_caller]
    pub fn of(pair: Pair) -> Self {
        Fix::between(pair.flags(&["-pthread"]).build())
    }

    /// Has the patch made that leads from one build to the other.
    #[track_caller]
    pub fn between(built: Built) -> Self {
        let file = built.path("fix.tgp");
        let arguments =
            ["diff".as_ref(), built.old.as_os_str(), built.new.as_os_str(), "-o".as_ref(), file.as_os_str()];
        let ran = patchgen(&arguments);
        assert_eq!(ran.status, Some(0), "{ran:?}");
        let bytes = std::fs::read(&file).expect("the patch was written");
        let patch = Patch::parse(&bytes).expect("what the generator writes can be read");
        Fix { built, file, patch }
    }

    /// The patch's ID as it is shown.
    #[track_caller]
    pub fn id(&self) -> String {
        let bytes = std::fs::read(&self.file).expect("the patch was written");
        patchfile::PatchId::of_file(&bytes).to_string()
    }

    /// Starts the old build.
    #[track_caller]
    pub fn start(&self, arguments: &[&str]) -> Live {
        Live::start(&self.built.old, arguments)
    }

    /// Runs `tardigrade` with an operation on a process.
    #[track_caller]
    pub fn operate(&self, operation: &str, pid: u32, more: &[&str]) -> Ran {
        operate(operation, &self.file, pid, more)
    }

    /// Asserts that an operation ends with exit status 0 and this outcome.
    #[track_caller]
    pub fn succeeds(&self, operation: &str, pid: u32, outcome: &str) {
        let ran = self.operate(operation, pid, &["--json"]);
        assert_eq!(ran.status, Some(0), "{ran:?}");
        assert_eq!(ran.json()["results"][0]["outcome"], outcome, "{ran:?}");
    }
}

/// Waits until `condition` holds. Panics with `what` if it does not for long.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        sleep(Duration::from_millis(2));
    }
}

/// A running target that answers commands, one line each.
#[derive(Debug)]
pub struct Live {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Live {
    /// Starts a program, which says "ready" when it is.
    #[track_caller]
    pub fn start(program: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut live = Live { child, input, output };
        assert_eq!(live.line(), "ready");
        live
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a command and returns the answer.
    #[track_caller]
    pub fn ask(&mut self, command: &str) -> String {
        self.send(command);
        let line = self.line();
        assert!(!line.is_empty(), "the target does not answer any more");
        line
    }

    /// Sends a command.
    pub fn send(&mut self, command: &str) {
        let input = self.input.as_mut().expect("the target was not told to end");
        writeln!(input, "{command}").expect("the target reads its commands");
    }

    /// Reads a line that the target writes.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the target's output is text");
        line.trim_end().to_owned()
    }

    /// Asks for a number.
    #[track_caller]
    pub fn number(&mut self, command: &str) -> i64 {
        self.ask(command).parse().expect("a number")
    }

    /// Sends a signal, named without "SIG".
    pub fn signal(&self, signal: &str) {
        let command = format!("kill -{signal} {}", self.pid());
        assert_eq!(run(Command::new("sh").args(["-c", &command])).status, Some(0));
    }

    /// Stops the target with SIGSTOP, and waits until no thread runs any more.
    #[track_caller]
    pub fn stop(&self) {
        self.signal("STOP");
        wait_until("all threads are stopped", || {
            thread_states(self.pid()).values().all(|state| *state == 'T')
        });
    }

    /// True if the target has not ended.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("the child can be waited for").is_none()
    }

    /// Runs `operation`, which must not change anything about the target, nor stop it for good.
    #[track_caller]
    pub fn unchanged_by(&mut self, operation: impl FnOnce(u32) -> Ran) -> Ran {
        let (ran, new_maps) = self.unpatched_by(operation);
        assert!(new_maps.is_empty(), "memory was mapped: {new_maps:?}: {ran:?}");
        ran
    }

    /// The same, but the payload may be mapped already; returns new mappings too.
    #[track_caller]
    pub fn unpatched_by(&mut self, operation: impl FnOnce(u32) -> Ran) -> (Ran, Vec<String>) {
        let pid = self.pid();
        let (before, states) = (Snapshot::at_rest(pid, ""), thread_states(pid));
        let ran = operation(pid);
        assert!(self.is_alive(), "the target ended: {ran:?}");
        let new_maps = before.assert_same(pid, "");
        assert!(new_maps.len() <= 2 && !new_maps.iter().any(|line| line.contains("wx")), "{new_maps:?}");
        for (tid, state) in thread_states(pid) {
            let stopped = |state: char| matches!(state, 'T' | 't');
            assert_eq!(
                stopped(state),
                states.get(&tid).copied().is_some_and(stopped),
                "thread {tid}: {ran:?}"
            );
        }
        (ran, new_maps)
    }

    /// Ends the target by the end of its input. Panics if it ends in another way.
    #[track_caller]
    pub fn quit(mut self) {
        self.input = None;
        wait_until("the target ends", || !self.is_alive());
        assert!(self.child.wait().is_ok_and(|status| status.success()), "the target ends well");
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // Some targets have something to clean up.
        self.input = None;
        let deadline = Instant::now() + Duration::from_millis(200);
        while self.is_alive() && Instant::now() < deadline {
            sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The memory of another process, seen from outside.
#[derive(Debug)]
pub struct Memory(File);

impl Memory {
    /// Opens the memory of `pid`.
    pub fn of(pid: u32) -> Self {
        let path = format!("/proc/{pid}/mem");
        let file = OpenOptions::new().read(true).write(true).open(&path);
        Memory(file.unwrap_or_else(|error| panic!("{path}: {error}")))
    }

    /// Reads `len` bytes.
    pub fn read(&self, address: u64, len: u64) -> Vec<u8> {
        let mut bytes = vec![0; len as usize];
        self.0.read_exact_at(&mut bytes, address).unwrap_or_else(|error| panic!("{address:#x}: {error}"));
        bytes
    }

    /// Writes bytes, also where the process itself could not.
    pub fn write(&self, address: u64, bytes: &[u8]) {
        self.0.write_all_at(bytes, address).unwrap_or_else(|error| panic!("{address:#x}: {error}"));
    }
}

/// Where the image of a position-independent program starts in a process.
pub fn load_address(pid: u32, program: &Path) -> u64 {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("the process has mappings");
    let path = program.canonicalize().expect("the program exists");
    let line = maps.lines().find(|line| line.ends_with(&*path.to_string_lossy()));
    let start = line.and_then(|line| line.split('-').next()).expect("the program is mapped");
    u64::from_str_radix(start, 16).expect("an address")
}
