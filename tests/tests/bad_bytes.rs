//! Targets whose memory is not what the patch was made for, has no room, or is in use: refused or busy, and not a
//! byte is changed.

use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tardigrade_tests::Pair;
use tardigrade_tests::live::{
    Fix, Live, Memory, ended, load_address, operate, operation_command, refused, spawn, tardigrade,
    wait_until,
};
use tardigrade_tests::snapshot::Snapshot;

const PLAIN: &str = include_str!("targets/plain.c");

/// The target with a patch for `answer`, compiled once.
static FIX: LazyLock<Fix> =
    LazyLock::new(|| Fix::of(Pair::edit(PLAIN, "return x * 3 + 1;", "return x * 3 + 2;")));
/// With a patch for `forever`.
static FOREVER: LazyLock<Fix> = LazyLock::new(|| Fix::of(Pair::edit(PLAIN, "return 7;", "return 8;")));

/// Where the bytes of the patched function are in a process: entry, length, and the same of its cold part.
fn places(live: &Live, fix: &Fix) -> [(u64, u64); 2] {
    let base = load_address(live.pid(), &fix.built.old);
    let function =
        fix.patch.functions.iter().find(|function| function.name == "answer").expect("it is patched");
    let [body, cold] = function.old.as_slice() else { panic!("body and cold part: {function:?}") };
    [body, cold].map(|range| (base + range.address.0, range.size))
}

/// Changes bytes at `address`, asserts that this is refused with `words` without a change, and that the patch goes in
/// once the bytes are back.
#[track_caller]
fn refused_with(live: &mut Live, address: u64, bytes: &[u8], words: &[&str]) {
    let memory = Memory::of(live.pid());
    let original = memory.read(address, bytes.len() as u64);
    memory.write(address, bytes);
    for more in [&["--dry-run", "--json"][..], &[]] {
        let ran = live.unchanged_by(|pid| FIX.operate("apply", pid, more));
        refused(&ran, 4, &[&[live.pid().to_string().as_str(), "answer"], words].concat());
    }
    assert_eq!(memory.read(address, bytes.len() as u64), bytes, "the foreign bytes are left alone");
    memory.write(address, &original);
}

#[test]
fn bytes_of_the_old_function() {
    let mut live = FIX.start(&[]);
    let [(entry, size), (cold, cold_size)] = places(&live, &FIX);
    let memory = Memory::of(live.pid());
    let middle = entry + size - 1;
    let flipped = |address: u64| [memory.read(address, 1)[0] ^ 0x40];
    // Nobody executes these: the function's own thread would die of a breakpoint.
    live.stop();
    refused_with(&mut live, entry, &[0xcc], &["breakpoint"]);
    refused_with(&mut live, entry, &[0xe9, 0, 1, 0, 0], &["jump"]);
    refused_with(&mut live, entry, &[0xeb, 0x10], &["jump"]);
    refused_with(&mut live, entry + 5, &[0xcc], &["breakpoint"]);
    refused_with(&mut live, middle, &flipped(middle), &[&format!("{middle:#x}")]);
    live.signal("CONT");
    refused_with(&mut live, cold, &flipped(cold), &[&format!("{cold:#x}")]);
    let last = cold + cold_size - 1;
    refused_with(&mut live, last, &[0xcc], &["breakpoint"]);
    assert_eq!((live.number("a"), live.number("m")), (1, 0));
    FIX.succeeds("apply", live.pid(), "applied");
    assert_eq!(live.number("a"), 2);
    live.quit();
}

/// Somebody writes over the redirect, or over the patch's own memory, while the patch is applied.
#[test]
fn bytes_of_the_applied_patch() {
    let mut live = FIX.start(&[]);
    let pid = live.pid();
    let before = Snapshot::at_rest(pid, "");
    let [(entry, _), _] = places(&live, &FIX);
    let memory = Memory::of(pid);
    FIX.succeeds("apply", pid, "applied");
    let redirect = memory.read(entry, 5);
    assert_eq!(redirect[0], 0xe9);
    let foreign = [0xe9, redirect[1] ^ 0x10, redirect[2], redirect[3], redirect[4]];
    live.stop();
    memory.write(entry, &foreign);
    for operation in ["apply", "revert"] {
        let ran = live.unchanged_by(|pid| FIX.operate(operation, pid, &[]));
        refused(&ran, 4, &[&pid.to_string(), "answer", "jump"]);
    }
    memory.write(entry, &redirect);
    live.signal("CONT");
    assert_eq!(live.number("a"), 2);

    // The record at the region's start: magic, then the table whose digest it holds.
    FIX.succeeds("revert", pid, "reverted");
    let region = before.assert_same(pid, "");
    let start = region[0].split('-').next().and_then(|start| u64::from_str_radix(start, 16).ok());
    let table = start.expect("an address") + 256 + 20;
    let original = memory.read(table, 1);
    memory.write(table, &[original[0] ^ 1]);
    for operation in ["apply", "revert"] {
        let ran = live.unchanged_by(|pid| FIX.operate(operation, pid, &[]));
        refused(&ran, 4, &[&pid.to_string(), "record"]);
    }
    memory.write(table, &original);
    // And the new code behind it.
    let code = start.expect("an address") + 4096 - 64;
    let code = (start.expect("an address")..code).rev().find(|at| memory.read(*at, 1) != [0]).expect("code");
    let original = memory.read(code, 1);
    memory.write(code, &[original[0] ^ 1]);
    let ran = live.unchanged_by(|pid| FIX.operate("apply", pid, &[]));
    refused(&ran, 4, &[&pid.to_string()]);
    memory.write(code, &original);
    FIX.succeeds("apply", pid, "applied");
    assert_eq!((live.number("a"), live.number("m")), (2, 0));
    live.quit();
}

/// Everything within reach of the program is mapped.
#[test]
fn no_free_address_in_reach() {
    let mut live = FIX.start(&["wall"]);
    for more in [&["--dry-run", "--json"][..], &[]] {
        let ran = live.unchanged_by(|pid| FIX.operate("apply", pid, more));
        refused(&ran, 4, &[&live.pid().to_string(), "2 GiB", "program"]);
    }
    assert_eq!((live.number("a"), live.number("m")), (1, 0));
    live.quit();
}

/// There are free addresses, but the kernel grants the process no more memory.
#[test]
fn no_memory_left() {
    let mut live = FIX.start(&["limit"]);
    let ran = live.unchanged_by(|pid| FIX.operate("apply", pid, &["--timeout", "1"]));
    refused(&ran, 1, &[&live.pid().to_string(), "mmap"]);
    assert_eq!((live.number("a"), live.number("m")), (1, 0));
    live.quit();
}

/// A thread never leaves the function: busy, with the thread and the function named; all others go on meanwhile.
#[test]
fn function_that_never_returns() {
    let mut live = FOREVER.start(&["forever"]);
    let insider = live.number("i").to_string();
    for round in 0..2 {
        let (begin, calls) = (Instant::now(), live.number("n"));
        let (ran, new_maps) = live.unpatched_by(|pid| FOREVER.operate("apply", pid, &["--timeout", "1"]));
        let took = begin.elapsed();
        refused(&ran, 4, &[&live.pid().to_string(), "busy", &format!("thread {insider}"), "forever"]);
        assert!(took > Duration::from_millis(900) && took < Duration::from_secs(4), "{took:?}");
        assert!(live.number("n") - calls > 10_000, "the others stood still: {calls} calls before");
        assert!(round == 0 || new_maps.is_empty(), "each attempt maps memory: {new_maps:?}");
    }
    let ran = live.unchanged_by(|pid| FOREVER.operate("revert", pid, &["--json"]));
    assert_eq!(ran.json()["results"][0]["outcome"], "absent");
    // The payload is there, but that is no patch that was applied once.
    let pid = live.pid().to_string();
    let patch = &tardigrade(&["list", "--pid", &pid, "--json"]).json()["processes"][0]["patches"][0];
    assert_eq!((&patch["state"], &patch["applied_at"]), (&"inert".into(), &serde_json::Value::Null));
    let ran = tardigrade(&["list", "--pid", &pid]);
    assert!(ran.stdout.contains(": inert, never applied\n"), "{ran:?}");
    assert_eq!(live.number("m"), 0);
    live.quit();
}

/// An interrupted loader says so and leaves nothing behind that matters.
#[test]
fn loader_told_to_end() {
    let mut live = FOREVER.start(&["forever"]);
    let (ran, _) = live.unpatched_by(|pid| {
        let mut command = operation_command("apply", &FOREVER.file, pid, &["--timeout", "60"]);
        let loader = spawn(&mut command);
        std::thread::sleep(Duration::from_secs(1));
        let kill =
            std::process::Command::new("sh").args(["-c", &format!("kill -TERM {}", loader.id())]).status();
        assert!(kill.is_ok_and(|status| status.success()));
        ended(loader)
    });
    refused(&ran, 1, &["Interrupted by a signal", &live.pid().to_string()]);
    live.quit();
}

/// Several loaders at once: each ends well, and the result is that of one after the other.
#[test]
fn loaders_at_the_same_time() {
    let mut live = FIX.start(&[]);
    let pid = live.pid();
    let before = Snapshot::at_rest(pid, "");
    let at_once = |operations: &[&str]| -> Vec<String> {
        let start = |operation: &&str| {
            let mut command = operation_command(operation, &FIX.file, pid, &["--json"]);
            spawn(&mut command)
        };
        let loaders: Vec<_> = operations.iter().map(start).collect();
        let outcome = |loader| {
            let ran = ended(loader);
            assert_eq!(ran.status, Some(0), "{ran:?}");
            ran.json()["results"][0]["outcome"].as_str().expect("an outcome").to_owned()
        };
        let mut outcomes: Vec<String> = loaders.into_iter().map(outcome).collect();
        outcomes.sort_unstable();
        outcomes
    };
    for _ in 0..5 {
        assert_eq!(at_once(&["apply", "apply", "apply"]), ["already", "already", "applied"]);
        assert_eq!(live.number("a"), 2);
        assert_eq!(at_once(&["revert", "revert", "revert"]), ["absent", "absent", "reverted"]);
        assert_eq!(live.number("a"), 1);
        let mixed = at_once(&["apply", "revert"]);
        let answer = if mixed == ["applied", "reverted"] {
            1
        } else {
            assert_eq!(mixed, ["absent", "applied"]);
            2
        };
        assert_eq!(live.number("a"), answer);
        assert_eq!(operate("revert", &FIX.file, pid, &[]).status, Some(0));
    }
    assert_eq!(before.assert_same(pid, "").len(), 1, "more than one payload");
    assert_eq!(live.number("m"), 0);
    live.quit();
}

/// While one loader waits for a busy function, another one for the same target waits for its turn, and says so when
/// its time is over.
#[test]
fn loader_that_waits_its_turn() {
    let mut live = FOREVER.start(&["forever"]);
    let pid = live.pid();
    let mut command = operation_command("apply", &FOREVER.file, pid, &["--timeout", "3"]);
    let first = spawn(&mut command);
    let has_payload = || {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("mappings");
        maps.lines().any(|line| line.contains(" r-xp 00000000 00:00 0") && !line.contains('['))
    };
    wait_until("the first one is at work", has_payload);
    refused(&FOREVER.operate("apply", pid, &["--timeout", "0.5"]), 4, &[&pid.to_string(), "Another loader"]);
    // Looking needs no turn.
    let list = || tardigrade(&["list", "--pid", &pid.to_string(), "--json"]).json();
    assert_eq!(list()["processes"][0]["patches"][0]["state"], "inert", "{:?}", list());
    refused(&ended(first), 4, &[&pid.to_string(), "forever"]);
    assert_eq!(live.number("m"), 0);
    live.quit();
}
