//! Unwind tables of new code in running programs.

use std::path::Path;
use std::process::{Child, Command};
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::Duration;
use tardigrade_tests::live::{Fix, Live, Memory, operation_command, refused, spawn};
use tardigrade_tests::{Built, Form, Pair};

static FIX: LazyLock<Fix> = LazyLock::new(|| Fix::of(pair(&["-lstdc++"])));

fn pair(flags: &[&str]) -> Pair {
    let source = include_str!("targets/thrower.cpp");
    let (old, new) = (source.replace("FIX", "(n - 1)"), source.replace("FIX", "n"));
    Pair::cpp(&old, &new).flags(flags)
}

/// The byte that says how far the registration got; None if there is no payload.
fn registration(pid: u32) -> Option<u8> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("the process has mappings");
    let memory = Memory::of(pid);
    maps.lines().filter(|line| line.contains("r-xp 00000000 00:00 0")).find_map(|line| {
        let start = u64::from_str_radix(line.split('-').next()?, 16).ok()?;
        if line.ends_with(']') || memory.read(start, 8) != *b"\x7fTGPMEM\0" {
            return None;
        }
        // The length of the part that is mapped readable and executable; the variables are behind it.
        let len = u64::from_le_bytes(memory.read(start + 24, 8).try_into().ok()?);
        Some(memory.read(start + len, 1)[0])
    })
}

#[track_caller]
fn unharmed(live: &mut Live) {
    assert_eq!((live.number("w"), live.number("h")), (0, 0), "exceptions that went wrong, harmed registers");
}

#[test]
fn sixteen_threads_throw_while_the_patch_comes_and_goes() {
    let mut live = FIX.start(&["16"]);
    for round in 0..50 {
        FIX.succeeds("apply", live.pid(), "applied");
        assert_eq!(live.number("a"), 2, "round {round}");
        assert_eq!(registration(live.pid()), Some(2));
        FIX.succeeds("revert", live.pid(), "reverted");
        assert_eq!(live.number("a"), 1, "round {round}");
    }
    assert!(live.number("r") > 0);
    unharmed(&mut live);
    live.quit();
}

/// The unwinder gets each patch's tables once, and keeps them when the patch is taken back.
#[test]
fn applied_twice() {
    let mut live = FIX.start(&["0"]);
    for outcome in ["applied", "already"] {
        FIX.succeeds("apply", live.pid(), outcome);
        assert_eq!((registration(live.pid()), live.number("a")), (Some(2), 2));
    }
    FIX.succeeds("revert", live.pid(), "reverted");
    assert_eq!((registration(live.pid()), live.number("a")), (Some(2), 1));
    FIX.succeeds("apply", live.pid(), "applied");
    assert_eq!((registration(live.pid()), live.number("a")), (Some(2), 2));
    unharmed(&mut live);
    live.quit();
}

/// The same with an unwinder that is part of the program.
#[test]
fn unwinder_inside() {
    let own = ["-static-libgcc", "-Wl,-Bstatic", "-lstdc++", "-Wl,-Bdynamic"];
    for (flags, form) in
        [(&own[..], Form::Pie), (&["-static", "-DOWN_MALLOC=0", "-lstdc++"], Form::FixedWithRelocations)]
    {
        let fix = Fix::of(pair(flags).form(form));
        let mut live = fix.start(&["4"]);
        for _ in 0..5 {
            fix.succeeds("apply", live.pid(), "applied");
            assert_eq!((registration(live.pid()), live.number("a")), (Some(2), 2));
            fix.succeeds("revert", live.pid(), "reverted");
            assert_eq!(live.number("a"), 1);
        }
        unharmed(&mut live);
        live.quit();
    }
}

/// A thread that is inside the allocator may hold its lock.
#[test]
fn only_thread_is_inside_the_allocator() {
    let mut live = FIX.start(&["0"]);
    assert_eq!(live.ask("m"), "waiting");
    let ran = FIX.operate("apply", live.pid(), &["--timeout", "1"]);
    refused(&ran, 4, &["no thread can register unwind tables now", "inside the allocator"]);
    assert_eq!(registration(live.pid()), Some(0));
    assert_eq!(live.ask("x"), "done");
    assert_eq!(live.number("a"), 1);
    FIX.succeeds("apply", live.pid(), "applied");
    assert_eq!(live.number("a"), 2);
    unharmed(&mut live);
    live.quit();
}

/// Wherever the loader dies, exceptions find their handlers, and the next command brings things to an end.
#[test]
fn killed_loader() {
    let mut states = [0; 3];
    for round in 0_u64..120 {
        let mut live = FIX.start(&["2"]);
        let mut loader: Child = spawn(&mut operation_command("apply", &FIX.file, live.pid(), &[]));
        sleep(Duration::from_micros(2000 + round * 500));
        loader.kill().expect("the loader can be killed");
        loader.wait().expect("the loader ends");
        let answer = live.number("a");
        assert!(answer == 1 || answer == 2, "{answer} in round {round}");
        if let Some(state) = registration(live.pid()) {
            states[usize::from(state)] += 1;
        }
        let ran = FIX.operate("apply", live.pid(), &[]);
        assert_eq!(ran.status, Some(0), "round {round}: {ran:?}");
        assert_eq!((registration(live.pid()), live.number("a")), (Some(2), 2), "round {round}");
        FIX.succeeds("revert", live.pid(), "reverted");
        assert_eq!(live.number("a"), 1, "round {round}");
        unharmed(&mut live);
        live.quit();
    }
    println!("registration not begun, begun, done: {states:?}");
}

/// Panics of Rust pass a changed function, whose variables are dropped.
#[test]
fn panic_of_rust() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/targets/panics.rs");
    let build = |name: &str, flags: &[&str]| {
        let folder = directory.path().join(name);
        std::fs::create_dir(&folder).expect("a directory for the build");
        let program = folder.join("program");
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition", "2021", "-O", "-g", "--crate-name", "program", "-Clink-arg=-Wl,--build-id"]);
        rustc.args(flags).arg("-o").arg(&program).arg(&source);
        assert!(rustc.status().expect("rustc is installed").success());
        program
    };
    let (old, new) = (build("old", &[]), build("new", &["--cfg", "fixed"]));
    let fix = Fix::between(Built { directory, old, new });
    let mut live = fix.start(&[]);
    assert_eq!((live.ask("1"), live.ask("3")), ("1 1".to_owned(), "panic 2".to_owned()));
    for round in 0..3 {
        let dropped = 2 + 4 * round;
        fix.succeeds("apply", live.pid(), "applied");
        assert_eq!(live.ask("4"), format!("40 {}", dropped + 1));
        assert_eq!(live.ask("6"), format!("panic {}", dropped + 2));
        fix.succeeds("revert", live.pid(), "reverted");
        assert_eq!(live.ask("7"), format!("7 {}", dropped + 3));
        assert_eq!(live.ask("9"), format!("panic {}", dropped + 4));
    }
    live.quit();
}
