//! The loader is killed: at each of its steps in turn, and at random times.

mod support;

use loader::apply::LoadedPatch;
use loader::report::Outcome;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use patchfile::Patch;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use support::{Image, Link, Victim, checked_patch, image, loaded, registered_patch, scratch};

fn patch_file(image: &Image) -> PathBuf {
    file_of("checked.tgp", &checked_patch(image))
}

fn file_of(name: &str, patch: &Patch) -> PathBuf {
    let path = scratch().join(name);
    std::fs::write(&path, patch.to_bytes().unwrap()).unwrap();
    path
}

fn loader_command(operation: &str, pid: i32) -> Command {
    command_with(operation, &scratch().join("checked.tgp"), pid)
}

fn command_with(operation: &str, file: &Path, pid: i32) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tardigrade"));
    command.arg(operation).arg(file).arg("--pid").arg(pid.to_string());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// System calls by which the loader changes something about the target.
fn is_step(number: u64) -> bool {
    [libc::SYS_ptrace, libc::SYS_pwrite64, libc::SYS_wait4].contains(&(number as i64))
}

/// Runs the loader, and kills it as it is about to make its step number `last`. False if it ended before.
fn kill_at_step(mut command: Command, last: usize) -> bool {
    // SAFETY: ptrace(2) is async-signal-safe.
    unsafe { command.pre_exec(|| ptrace::traceme().map_err(Into::into)) };
    #[allow(clippy::zombie_processes, reason = "waited for by number below")]
    let child = command.spawn().unwrap();
    let pid = Pid::from_raw(child.id() as i32);
    assert!(matches!(waitpid(pid, None).unwrap(), WaitStatus::Stopped(_, Signal::SIGTRAP)));
    ptrace::setoptions(pid, ptrace::Options::PTRACE_O_TRACESYSGOOD | ptrace::Options::PTRACE_O_EXITKILL)
        .unwrap();
    let (mut step, mut entry) = (0, false);
    let mut signal = None;
    loop {
        ptrace::syscall(pid, signal.take()).unwrap();
        match waitpid(pid, None).unwrap() {
            WaitStatus::PtraceSyscall(_) => {
                entry = !entry;
                if entry && is_step(ptrace::getregs(pid).unwrap().orig_rax) {
                    step += 1;
                    if step == last {
                        kill(pid, Signal::SIGKILL).unwrap();
                        while !matches!(waitpid(pid, None).unwrap(), WaitStatus::Signaled(..)) {}
                        return true;
                    }
                }
            }
            WaitStatus::Stopped(_, delivered) => signal = Some(delivered),
            WaitStatus::Exited(_, 0) => return false,
            other => panic!("the loader ended with {other:?}"),
        }
    }
}

/// After each kill the target is all-old or all-new, and the next commands put everything right.
#[track_caller]
fn recovers(victim: &mut Victim, image: &Image, text: &[u8], step: usize, what: &str) {
    recovers_with(victim, image, &loaded(checked_patch(image)), text, step, what);
}

#[track_caller]
fn recovers_with(
    victim: &mut Victim,
    image: &Image,
    loaded: &LoadedPatch,
    text: &[u8],
    step: usize,
    what: &str,
) {
    let what = &format!("{what} killed at step {step}");
    let before = victim.unharmed();
    assert!(before["answer"] == before["twin"] && before["twin"] == before["tiny"], "{what}: {before:?}");
    let state = victim.state();
    if step.is_multiple_of(2) {
        // Undo first, instead of finishing.
        let outcome = victim.revert(loaded).unwrap_or_else(|error| panic!("{what}, {state:?}: {error}")).0;
        assert!(matches!(outcome, Outcome::Reverted | Outcome::Absent), "{what}");
        assert_eq!(victim.answer(), 1, "{what}");
    }
    let outcome = victim.apply(loaded).unwrap_or_else(|error| panic!("{what}, {state:?}: {error}")).0;
    assert!(matches!(outcome, Outcome::Applied | Outcome::Already), "{what}");
    assert_eq!(victim.answer(), 2, "{what}");
    assert_eq!(victim.revert(loaded).unwrap().0, Outcome::Reverted, "{what}");
    assert_eq!(victim.answer(), 1, "{what}");
    let now = victim.text(image);
    assert_eq!(now.iter().zip(text).position(|(now, then)| now != then), None, "{what}");
    let regions = victim.mappings().iter().filter(|line| line.contains("r-xp 00000000 00:00 0")).count();
    assert_eq!(regions, 1 + vsyscall_like(victim), "{what}: {:?}", victim.mappings());
}

/// Mappings of the kernel's that look similar.
fn vsyscall_like(victim: &Victim) -> usize {
    let special = |line: &&String| line.contains("r-xp 00000000 00:00 0") && line.contains('[');
    victim.mappings().iter().filter(special).count()
}

const THREADS: &[&str] = &["paced", "1", "vectors", "timers"];

#[test]
fn first_apply_killed_at_every_step() {
    let image = image(Link::Pie);
    patch_file(image);
    // Which thread makes the system calls for the loader depends on what they are doing.
    for threads in [&["vectors"] as &[_], &["timers"], &["paced", "2"]] {
        let (mut step, mut left) = (1, 0);
        loop {
            let mut victim = Victim::start(image, threads);
            let text = victim.text(image);
            let killed = kill_at_step(loader_command("apply", victim.pid()), step);
            left += usize::from(victim.text(image).windows(8).any(|bytes| bytes == b"\x7fTGPSLOT"));
            recovers(&mut victim, image, &text, step, &format!("apply with {threads:?}"));
            victim.quit();
            if !killed {
                break;
            }
            step += 1;
        }
        println!("{threads:?}: {step} steps, {left} of them left code in the slack");
        assert!(step > 50, "only {step} steps");
        assert!(left > 10, "only {left} steps of an injected call");
    }
}

/// A thread that runs the patch's code for the loader ends it and goes home by itself: it is run once, wherever the
/// loader dies.
#[test]
fn apply_with_a_registration_killed_at_every_step() {
    let image = image(Link::Pie);
    let file = file_of("registered.tgp", &registered_patch(image));
    let loaded = loaded(registered_patch(image));
    let (mut step, mut done) = (1, 0);
    loop {
        let mut victim = Victim::start(image, &["vectors"]);
        let text = victim.text(image);
        let registrations = victim.address(image, "registrations");
        let killed = kill_at_step(command_with("apply", &file, victim.pid()), step);
        let before = victim.peek(registrations);
        assert!(before <= 1, "step {step}");
        done += before;
        recovers_with(&mut victim, image, &loaded, &text, step, "registration");
        assert_eq!(victim.peek(registrations), 1, "step {step}");
        victim.quit();
        if !killed {
            break;
        }
        step += 1;
    }
    println!("{step} steps, after {done} of them the tables were known");
    assert!(step > 70 && done > 20, "{step} steps, {done}");
}

#[test]
fn revert_and_second_apply_killed_at_every_step() {
    let image = image(Link::Pie);
    patch_file(image);
    let loaded = loaded(checked_patch(image));
    let mut victim = Victim::start(image, THREADS);
    let text = victim.text(image);
    for operation in ["revert", "apply"] {
        let mut step = 1;
        loop {
            match operation {
                "revert" => victim.apply(&loaded).unwrap(),
                _ => victim.revert(&loaded).unwrap(),
            };
            let killed = kill_at_step(loader_command(operation, victim.pid()), step);
            recovers(&mut victim, image, &text, step, operation);
            if !killed {
                break;
            }
            step += 1;
        }
        println!("{operation}: {step} steps");
        assert!(step > 20, "only {step} steps");
    }
    victim.quit();
}

#[test]
fn killed_at_random_times() {
    let image = image(Link::Pie);
    patch_file(image);
    let loaded = loaded(checked_patch(image));
    let arguments = ["busy", "1", "paced", "2", "blocked", "8", "timers", "vectors", "breeder"];
    let mut victim = Victim::start(image, &arguments);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..200 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let operation = if round % 2 == 0 { "apply" } else { "revert" };
        let mut child = loader_command(operation, victim.pid()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros((random >> 33) % 15_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let report = victim.report();
        for name in ["mixed", "wrong", "off_stack", "corrupted", "late"] {
            assert_eq!(report[name], 0, "{name} in round {round}: {report:?}");
        }
        assert!(report["answer"] == report["twin"] && report["twin"] == report["tiny"], "{report:?}");
    }
    victim.apply(&loaded).unwrap();
    assert_eq!(victim.report()["answer"], 2);
    victim.revert(&loaded).unwrap();
    assert_eq!(victim.report()["answer"], 1);
    victim.quit();
}
