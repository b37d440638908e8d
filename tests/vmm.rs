//! The sample VMMs, in C and in Rust, with a running guest.

use crate::live::wait_until;
use crate::tool::{Ran, patchgen};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The guest's own checks, which count what must never happen.
const GUEST_CHECKS: &[&str] = &["blk_errors", "disk_mismatch", "timer_backwards", "identity_changed"];

/// The sample VMM's executable of a version, such as "v1".
pub fn minivmm(version: &str) -> PathBuf {
    sample("MINIVMM", "minivmm", version)
}

/// The Rust sample VMM's executable of a version.
pub fn minivmm_rs(version: &str) -> PathBuf {
    sample("MINIVMM_RS", "minivmm-rs", version)
}

fn sample(variable: &str, name: &str, version: &str) -> PathBuf {
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("../build");
    let folder = std::env::var_os(variable).map_or_else(|| build.join(name), PathBuf::from);
    let program = folder.join(version).join(name);
    assert!(
        program.exists(),
        "{} does not exist: run `make samples`, or set {variable} to the directory of v1, v2 and v3",
        program.display()
    );
    program
}

/// What the generator says about two versions of the sample VMM; the patch goes to `output`.
pub fn diff_versions(old: &str, new: &str, output: &Path) -> Ran {
    let (old, new) = (minivmm(old), minivmm(new));
    patchgen(&["diff".as_ref(), old.as_os_str(), new.as_os_str(), "-o".as_ref(), output.as_os_str()])
}

/// A running virtual machine.
#[derive(Debug)]
pub struct Vmm {
    child: Child,
    folder: TempDir,
    /// "kvm" or "soft".
    pub accelerator: String,
}

impl Vmm {
    /// Starts the sample VMM with a disk, more options, and a guest. Says on standard error how the guest runs.
    #[track_caller]
    pub fn start(version: &str, more: &[&str]) -> Self {
        Vmm::of(&minivmm(version), more)
    }

    /// The same for any program with the options of the sample VMM.
    #[track_caller]
    pub fn of(program: &Path, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let disk = std::fs::File::create(folder.path().join("disk.img"));
        disk.and_then(|disk| disk.set_len(1 << 20)).expect("a disk image");
        let mut command = Command::new(program);
        for (option, file) in [("--disk", "disk.img"), ("--serial", "serial.log"), ("--control", "control")] {
            command.arg(option).arg(folder.path().join(file));
        }
        let mut child = command.args(more).stderr(Stdio::piped()).spawn().expect("the VMM starts");
        let mut messages = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut message = String::new();
        while !message.contains("ready") {
            message.clear();
            let len = messages.read_line(&mut message).expect("messages are text");
            assert!(len > 0, "the VMM ended before it was ready");
            eprint!("{message}");
        }
        // Whatever it says later is for whoever looks at the test's output.
        std::thread::spawn(move || std::io::copy(&mut messages, &mut std::io::stderr()));
        let accelerator = if message.contains("(kvm") { "kvm" } else { "soft" };
        Vmm { child, folder, accelerator: accelerator.to_owned() }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The status that the control socket reports.
    #[track_caller]
    pub fn status(&self) -> Value {
        let line = self.ask("status");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    fn ask(&self, command: &str) -> String {
        let mut client = UnixStream::connect(self.folder.path().join("control")).expect("the VMM is alive");
        writeln!(client, "{command}").expect("the VMM reads its commands");
        let mut line = String::new();
        BufReader::new(client).read_line(&mut line).expect("the VMM answers");
        line
    }

    /// The lines that the guest has printed so far, whole ones only.
    pub fn serial(&self) -> Vec<String> {
        let bytes = std::fs::read(self.folder.path().join("serial.log")).expect("the serial log");
        let text = String::from_utf8_lossy(&bytes);
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(str::to_owned).collect()
    }

    /// Waits until `counter` of the status has grown by `steps` and every vCPU has gone on; returns the status then.
    #[track_caller]
    pub fn watch(&self, counter: &str, steps: u64) -> Value {
        let before = self.status();
        let mut now = before.clone();
        wait_until(counter, || {
            now = self.status();
            number(&now, counter) >= number(&before, counter) + steps && all_advanced(&before, &now)
        });
        now
    }

    /// Ends the machine. Panics if it ends otherwise.
    #[track_caller]
    pub fn quit(mut self) {
        self.ask("quit");
        assert!(self.child.wait().is_ok_and(|status| status.success()), "the machine ends well");
    }
}

impl Drop for Vmm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A number of the status.
#[track_caller]
pub fn number(status: &Value, name: &str) -> u64 {
    status[name].as_u64().unwrap_or_else(|| panic!("no number \"{name}\" in {status}"))
}

/// The counters that the guest's processors keep in their memory.
pub fn guest_counters(status: &Value) -> Vec<u64> {
    let cpus = status["cpus"].as_array().expect("a list of vCPUs");
    cpus.iter().map(|cpu| cpu["count"].as_u64().expect("a counter")).collect()
}

/// True if every vCPU has gone on.
pub fn all_advanced(before: &Value, now: &Value) -> bool {
    let (before, now) = (guest_counters(before), guest_counters(now));
    !now.is_empty() && before.len() == now.len() && now.iter().zip(&before).all(|(now, before)| now > before)
}

/// Asserts that no check of the guest's own has ever failed.
#[track_caller]
pub fn assert_guest_unharmed(status: &Value) {
    for check in GUEST_CHECKS {
        assert_eq!(number(status, check), 0, "{check}: {status}");
    }
}
