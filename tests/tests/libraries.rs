//! Patches of libraries that a process loads and unloads while it runs.

use serde_json::Value;
use std::path::PathBuf;
use std::sync::LazyLock;
use tardigrade_tests::live::{Fix, Live, compile_helper, refused, tardigrade};
use tardigrade_tests::{Form, Pair};

const HOST: &str = include_str!("targets/host.c");

const LIBRARY: &str = "
static int calls;
__attribute__((noinline, noipa)) int answer(int x) { calls++; return x * 3 + 1; }
__attribute__((noinline, noipa)) int used(void) { return calls; }
";

/// The new code has a variable of its own.
const FIXED: &str = "
static int calls, fixed_calls;
__attribute__((noinline, noipa)) int answer(int x) { calls++; return x * 3 + 2 + 100 * fixed_calls++; }
__attribute__((noinline, noipa)) int used(void) { return calls; }
";

static FIX: LazyLock<Fix> = LazyLock::new(|| Fix::of(Pair::c(LIBRARY, FIXED).form(Form::Shared)));

/// A process that has the library loaded.
fn host() -> Live {
    static PROGRAM: LazyLock<PathBuf> =
        LazyLock::new(|| compile_helper(HOST, FIX.built.directory.path(), "host"));
    let mut live = Live::start(&PROGRAM, &[&FIX.built.old.to_string_lossy()]);
    assert_eq!(live.number("o"), 1);
    live
}

/// What `list` says of the process's patches.
#[track_caller]
fn listed(live: &Live) -> Vec<Value> {
    let ran = tardigrade(&["list", "--pid", &live.pid().to_string(), "--json"]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    ran.json()["processes"][0]["patches"].as_array().expect("a list of patches").clone()
}

#[track_caller]
fn states(live: &Live) -> Vec<(String, bool)> {
    let state = |patch: &Value| patch["state"].as_str().expect("a state").to_owned();
    listed(live).iter().map(|patch| (state(patch), patch["unloaded"] == true)).collect()
}

fn state(name: &str, unloaded: bool) -> (String, bool) {
    (name.to_owned(), unloaded)
}

/// Nothing of an applied patch is in force once its library is gone: it is inert, and reverting it is nothing to do.
#[test]
fn unloaded_while_patched() {
    let mut live = host();
    FIX.succeeds("apply", live.pid(), "applied");
    assert_eq!((live.number("a"), live.number("a")), (2, 102));
    assert_eq!(live.number("c"), 1);
    assert_eq!(states(&live), [state("inert", true)]);
    let ran = tardigrade(&["list", "--pid", &live.pid().to_string()]);
    assert!(ran.stdout.contains("inert, its image was unloaded"), "{ran:?}");
    let status = tardigrade(&["status", "--json"]).json();
    let processes = status["processes"].as_array().expect("a list of processes");
    let process = processes.iter().find(|process| process["pid"] == live.pid()).expect("it holds a patch");
    assert_eq!(
        (&process["patches"][0]["state"], &process["patches"][0]["unloaded"]),
        (&"inert".into(), &true.into())
    );
    live.unchanged_by(|pid| {
        FIX.succeeds("revert", pid, "absent");
        let ran = FIX.operate("apply", pid, &[]);
        refused(&ran, 4, &[&FIX.patch.target.build_id.to_string(), "has no image"]);
        ran
    });
    live.quit();
}

/// The dynamic linker puts it where it was: its text and variables are as in the file, and so are the patch's.
#[test]
fn loaded_again_at_the_same_place() {
    let mut live = host();
    FIX.succeeds("apply", live.pid(), "applied");
    assert_eq!((live.number("a"), live.number("a"), live.number("u")), (2, 102, 2));
    for round in 0..3 {
        assert_eq!((live.number("c"), live.number("o")), (1, 1));
        assert_eq!(states(&live), [state("inert", false)], "round {round}");
        live.unchanged_by(|pid| {
            FIX.succeeds("revert", pid, "absent");
            let ran = FIX.operate("apply", pid, &["--dry-run", "--json"]);
            assert_eq!(ran.status, Some(0), "{ran:?}");
            ran
        });
        assert_eq!((live.number("a"), live.number("u")), (1, 1));
        FIX.succeeds("apply", live.pid(), "applied");
        assert_eq!((live.number("a"), live.number("a"), live.number("u")), (2, 102, 3), "round {round}");
        assert_eq!(states(&live), [state("applied", false)]);
    }
    FIX.succeeds("revert", live.pid(), "reverted");
    assert_eq!(live.number("a"), 1);
    live.quit();
}

/// Elsewhere it gets a payload of its own; what the first one held stays as it is.
#[test]
fn loaded_again_elsewhere() {
    let mut live = host();
    FIX.succeeds("apply", live.pid(), "applied");
    assert_eq!(live.number("a"), 2);
    assert_eq!((live.number("c"), live.number("b"), live.number("o")), (1, 1, 1));
    assert_eq!((live.number("a"), states(&live)), (1, vec![state("inert", true)]));
    FIX.succeeds("apply", live.pid(), "applied");
    FIX.succeeds("apply", live.pid(), "already");
    assert_eq!((live.number("a"), live.number("a")), (2, 102));
    let mut found = states(&live);
    found.sort();
    assert_eq!(found, [state("applied", false), state("inert", true)]);
    // One ID, two payloads: that is not ambiguous.
    let id = listed(&live)[0]["id"].as_str().expect("an ID").to_owned();
    let ran = tardigrade(&["revert", &id, "--pid", &live.pid().to_string(), "--json"]);
    assert_eq!((ran.status, &ran.json()["results"][0]["outcome"]), (Some(0), &"reverted".into()));
    assert_eq!(live.number("a"), 1);
    FIX.succeeds("revert", live.pid(), "absent");
    FIX.succeeds("apply", live.pid(), "applied");
    assert_eq!(live.number("a"), 202);
    live.quit();
}

/// Another library lies where the patched one was: it is not mistaken for it.
#[test]
fn another_library_in_its_place() {
    let copy = FIX.built.path("other.so");
    let program = compile_helper(HOST, FIX.built.directory.path(), "host-of-others");
    // The name that is opened leads to one library first, and to the other one then.
    std::os::unix::fs::symlink(&FIX.built.old, &copy).expect("a link");
    let mut live = Live::start(&program, &[&copy.to_string_lossy()]);
    assert_eq!(live.number("o"), 1);
    FIX.succeeds("apply", live.pid(), "applied");
    assert_eq!((live.number("a"), live.number("c")), (2, 1));
    std::fs::remove_file(&copy).expect("the link is there");
    std::os::unix::fs::symlink(&FIX.built.new, &copy).expect("a link");
    assert_eq!(live.number("o"), 1);
    assert_eq!(states(&live), [state("inert", true)]);
    live.unchanged_by(|pid| {
        FIX.succeeds("revert", pid, "absent");
        FIX.operate("apply", pid, &[])
    });
    assert_eq!(live.number("a"), 2, "the fixed library itself");
    live.quit();
}

/// Two copies in one process: a patch would be applied to one of them only.
#[test]
fn loaded_twice() {
    let mut live = host();
    assert_eq!(live.number("s"), 1);
    let ran = live.unchanged_by(|pid| FIX.operate("apply", pid, &[]));
    refused(&ran, 4, &[&live.pid().to_string(), &FIX.patch.target.build_id.to_string(), "mapped 2 times"]);
    live.quit();
}

/// The file was cut off under the process: the pages of its code are gone.
#[test]
fn file_cut_off() {
    let copy = FIX.built.path("cut.so");
    std::fs::copy(&FIX.built.old, &copy).expect("the library can be copied");
    let program = compile_helper(HOST, FIX.built.directory.path(), "host-of-a-copy");
    let mut live = Live::start(&program, &[&copy.to_string_lossy()]);
    assert_eq!(live.number("o"), 1);
    let file = std::fs::OpenOptions::new().write(true).open(&copy).expect("the copy is there");
    file.set_len(4096).expect("it can be cut off");
    let ran = FIX.operate("apply", live.pid(), &[]);
    refused(&ran, 1, &[&format!("Cannot read memory of process {} at 0x", live.pid())]);
    assert!(live.is_alive());
}

/// A library that comes and goes all the time: each operation works, or says that it was away.
#[test]
fn unloaded_while_it_is_worked_on() {
    let program = compile_helper(include_str!("targets/reloader.c"), FIX.built.directory.path(), "reloader");
    let mut live = Live::start(&program, &[&FIX.built.old.to_string_lossy()]);
    let (mut applied, mut away) = (0, 0);
    for _ in 0..200 {
        for operation in ["apply", "revert"] {
            let ran = FIX.operate(operation, live.pid(), &["--timeout", "1"]);
            match ran.status {
                Some(0) => applied += u32::from(ran.stdout.contains(": applied")),
                Some(4) => {
                    let reasons = ["has no image with", "was unloaded from process", "is not a private"];
                    assert!(reasons.iter().any(|reason| ran.stderr.contains(reason)), "{ran:?}");
                    away += u32::from(ran.stderr.contains(reasons[1]));
                }
                _ => panic!("{ran:?}"),
            }
        }
    }
    assert!(live.is_alive());
    assert!(applied > 0 && away > 0, "{applied} applied, {away} times away");
    assert_eq!(live.ask("w"), "0");
    live.quit();
}
