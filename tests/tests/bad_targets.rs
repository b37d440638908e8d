//! Processes that cannot or must not be patched, and patch files that are none: one clear line, the right exit
//! status, and nothing changed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::Duration;
use tardigrade_tests::live::{
    Fix, Live, compile_helper, operate, operation_command, refused, run_to_end, tardigrade,
    tardigrade_command, wait_until,
};
use tardigrade_tests::snapshot::{Snapshot, tasks, thread_states};
use tardigrade_tests::{Pair, Ran};

const PLAIN: &str = include_str!("targets/plain.c");
const TRACER: &str = include_str!("targets/tracer.c");

/// The target with its patch, compiled once.
static FIX: LazyLock<Fix> =
    LazyLock::new(|| Fix::of(Pair::edit(PLAIN, "return x * 3 + 1;", "return x * 3 + 2;")));

/// Asserts that the target works and can be patched and unpatched after all that was tried.
#[track_caller]
fn works(mut live: Live) {
    assert_eq!(live.number("a"), 1);
    FIX.succeeds("apply", live.pid(), "applied");
    assert_eq!(live.number("a"), 2);
    FIX.succeeds("revert", live.pid(), "reverted");
    assert_eq!((live.number("a"), live.number("m")), (1, 0));
    live.quit();
}

/// Counts exit statuses; a crash is none.
#[track_caller]
fn count(statuses: &mut [usize; 5], ran: &Ran) {
    let status = ran.status.and_then(|status| usize::try_from(status).ok());
    *status.and_then(|status| statuses.get_mut(status)).unwrap_or_else(|| panic!("{ran:?}")) += 1;
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    assert!(ran.status == Some(0) || ran.stderr.starts_with("tardigrade: "), "{ran:?}");
    // What a dying process's memory looks like is no message for a user.
    let puzzles = ["whole buffer", "kernel thread", "os error"];
    assert!(!puzzles.iter().any(|puzzle| ran.stderr.contains(puzzle)), "{ran:?}");
}

#[test]
fn dead_process() {
    let mut child = Command::new("true").spawn().expect("true starts");
    let pid = child.id();
    // Not waited for, it is a zombie.
    wait_until("the child ends", || thread_states(pid).get(&pid) == Some(&'Z'));
    for operation in ["apply", "revert"] {
        refused(&FIX.operate(operation, pid, &[]), 1, &[&pid.to_string(), "ended"]);
    }
    child.wait().expect("the child can be waited for");
    for operation in ["apply", "revert"] {
        refused(&FIX.operate(operation, pid, &[]), 1, &["no process", &pid.to_string()]);
    }
    refused(&tardigrade(&["list", "--pid", &pid.to_string()]), 1, &["no process", &pid.to_string()]);
    refused(&FIX.operate("apply", i32::MAX as u32, &[]), 1, &["no process"]);
    for never in [0, 1 << 31] {
        let ran = FIX.operate("apply", never, &[]);
        assert_eq!(ran.status, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("invalid value"), "{ran:?}");
    }
}

#[test]
fn kernel_thread() {
    let is_kernel_thread = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| status.contains("\nKthread:\t1"))
            || fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == "kthreadd")
    };
    let Some(pid) = (1..1000).find(is_kernel_thread) else {
        eprintln!("no kernel thread is visible in this PID namespace: nothing to try");
        return;
    };
    for operation in ["apply", "revert"] {
        refused(&FIX.operate(operation, pid, &[]), 4, &[&pid.to_string(), "kernel thread"]);
    }
}

/// As another user than the target's, from a copy that this user may execute.
#[test]
fn process_of_another_user() {
    let mut live = FIX.start(&[]);
    if fs::metadata(format!("/proc/{}", live.pid())).is_ok_and(|_| own_user() != 0) {
        // The test's user is not root: root's processes are the other user's.
        let ran = FIX.operate("apply", 1, &[]);
        refused(&ran, 1, &["permission", "process 1"]);
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let everyone = |path: &std::path::Path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("permissions can be set");
    };
    everyone(folder.path());
    let (program, patch) = (folder.path().join("tardigrade"), folder.path().join("fix.tgp"));
    fs::copy(tardigrade_command::<&str>(&[]).get_program(), &program).expect("the program can be copied");
    fs::copy(&FIX.file, &patch).expect("the patch can be copied");
    everyone(&program);
    everyone(&patch);
    for operation in ["apply", "revert"] {
        let ran = live.unchanged_by(|pid| {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
            run_to_end(command.arg(&program).arg(operation).arg(&patch).args(["--pid", &pid.to_string()]))
        });
        refused(&ran, 1, &["permission", &live.pid().to_string(), "run as root"]);
    }
    works(live);
}

fn own_user() -> u32 {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").expect("a proc file system"))
}

/// Nothing in common with the target, and the first process of the system, at which only a dry run looks.
#[test]
fn process_without_the_image() {
    let mut sleeper = Command::new("sleep").arg("100").spawn().expect("sleep starts");
    let wanted = FIX.patch.target.build_id.to_string();
    wait_until("sleep runs", || {
        fs::read_to_string(format!("/proc/{}/comm", sleeper.id())).is_ok_and(|name| name == "sleep\n")
    });
    let before = Snapshot::at_rest(sleeper.id(), "");
    refused(&FIX.operate("apply", sleeper.id(), &[]), 4, &[&sleeper.id().to_string(), &wanted]);
    assert!(before.assert_same(sleeper.id(), "").is_empty());
    sleeper.kill().expect("the child can be killed");
    sleeper.wait().expect("the child can be waited for");
    if own_user() == 0 {
        let ran = FIX.operate("apply", 1, &["--dry-run", "--json"]);
        // In some containers even root may not look at it.
        assert!(matches!(ran.status, Some(1 | 4)), "{ran:?}");
        refused(&ran, ran.status.unwrap_or_default(), &["process 1"]);
    }
}

/// The replacement runs, not the target: its build ID is told.
#[test]
fn process_with_another_build() {
    let mut live = Live::start(&FIX.built.new, &[]);
    let ran = live.unchanged_by(|pid| FIX.operate("apply", pid, &[]));
    let (wanted, found) = (&FIX.patch.target.build_id, &FIX.patch.replacement.build_id);
    refused(&ran, 4, &[&live.pid().to_string(), &wanted.to_string(), &found.to_string()]);
    assert_eq!(live.number("a"), 2);
    let ran = live.unchanged_by(|pid| FIX.operate("revert", pid, &["--json"]));
    assert_eq!((ran.status, &ran.json()["results"][0]["outcome"]), (Some(0), &"absent".into()));
    live.quit();
}

/// By a debugger that holds the whole process, or only one of its threads.
#[test]
fn process_that_is_traced() {
    let folder = tempfile::tempdir().expect("a directory");
    let tracer = compile_helper(TRACER, folder.path(), "tracer");
    let mut live = FIX.start(&[]);
    let pid = live.pid();
    let other = tasks(pid).into_iter().find(|tid| *tid != pid).expect("another thread");
    for tid in [pid, other] {
        let holder = Live::start(&tracer, &[&tid.to_string()]);
        for operation in ["apply", "revert"] {
            let ran = live.unchanged_by(|pid| FIX.operate(operation, pid, &["--timeout", "1"]));
            let (pid, holder) = (pid.to_string(), holder.pid().to_string());
            refused(&ran, 4, &[&pid, "traced by process", &holder, "detach"]);
        }
        let ran = live.unchanged_by(|pid| FIX.operate("apply", pid, &["--dry-run"]));
        refused(&ran, 4, &["traced by process"]);
        holder.quit();
    }
    works(live);
}

#[test]
fn number_of_a_thread() {
    let mut live = FIX.start(&[]);
    let pid = live.pid();
    let thread = tasks(pid).into_iter().find(|tid| *tid != pid).expect("another thread");
    let ran = live.unchanged_by(|_| FIX.operate("apply", thread, &[]));
    refused(&ran, 1, &[&thread.to_string(), &pid.to_string(), "give the process"]);
    works(live);
}

#[test]
fn wrong_usage() {
    let file = FIX.file.to_string_lossy();
    let wrong: &[&[&str]] = &[
        &[],
        &["frobnicate"],
        &["apply"],
        &["apply", &file],
        &["apply", &file, "--pid"],
        &["apply", &file, "--pid", "abc"],
        &["apply", &file, "--pid", "12x"],
        &["apply", &file, "--pid", ""],
        &["apply", &file, "--pid", "99999999999999999999"],
        &["apply", &file, "--pid", "1", "--all"],
        &["apply", &file, "--pid", "1", "--timeout", "soon"],
        &["apply", &file, "--pid", "1", "--timeout", "-1"],
        &["apply", &file, "--pid", "1", "--timeout", "nan"],
        &["apply", &file, "--pid", "1", "--timeout", "inf"],
        &["apply", &file, "--pid", "1", "--consistency", "none"],
        &["revert", "--pid", "1"],
        &["revert", &file],
        &["list", "--pid", "me"],
    ];
    for arguments in wrong {
        let ran = tardigrade(arguments);
        assert_eq!(ran.status, Some(2), "{arguments:?}: {ran:?}");
        assert!(ran.stdout.is_empty() && !ran.stderr.is_empty(), "{arguments:?}: {ran:?}");
    }
}

/// Missing, truncated, damaged, or another kind of file.
#[test]
fn unusable_patch_file() {
    let mut live = FIX.start(&[]);
    let folder = tempfile::tempdir().expect("a directory");
    let bad = folder.path().join("bad.tgp");
    let good = fs::read(&FIX.file).expect("the patch is there");
    let mut files: Vec<(&str, Option<Vec<u8>>)> = vec![
        ("missing", None),
        ("empty", Some(Vec::new())),
        ("garbage", Some((0..5000_u32).map(|i| (i * i + i / 7) as u8).collect())),
        ("an executable", fs::read(&FIX.built.old).ok()),
    ];
    files.extend((1..40).map(|part| ("truncated", Some(good[..good.len() * part / 40].to_vec()))));
    let ran = live.unchanged_by(|pid| {
        for (what, bytes) in &files {
            let _ = fs::remove_file(&bad);
            if let Some(bytes) = bytes {
                fs::write(&bad, bytes).expect("the file can be written");
            }
            let ran = operate("apply", &bad, pid, &[]);
            let len = bytes.as_ref().map(Vec::len);
            assert_eq!(ran.status, Some(2), "{what}, {len:?} bytes: {ran:?}");
            refused(&ran, 2, &[&bad.to_string_lossy()]);
        }
        fs::remove_file(&bad).expect("the last one was written");
        operate("apply", folder.path(), pid, &[])
    });
    refused(&ran, 2, &[&folder.path().to_string_lossy()]);
    let ran = live.unchanged_by(|pid| operate("revert", "no-such-file.tgp", pid, &[]));
    refused(&ran, 2, &["no-such-file.tgp"]);
    works(live);
}

/// One byte of a good file is another: it is refused, or what it says is checked like any other patch. Nothing is
/// changed by a dry run.
#[test]
fn damaged_patch_file() {
    let mut live = FIX.start(&[]);
    let folder = tempfile::tempdir().expect("a directory");
    let bad = folder.path().join("bad.tgp");
    let good = fs::read(&FIX.file).expect("the patch is there");
    let mut statuses = [0; 5];
    live.unchanged_by(|pid| {
        let mut last = None;
        for at in (0..good.len()).step_by(good.len() / 61) {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&bad, bytes).expect("the file can be written");
            let ran = operate("apply", &bad, pid, &["--dry-run"]);
            count(&mut statuses, &ran);
            last = Some(ran);
        }
        last.expect("there were some")
    });
    eprintln!("damaged patch files by exit status 0 to 4: {statuses:?}");
    works(live);
}

/// A stopped process stays stopped, patched or not.
#[test]
fn stopped_process() {
    let mut live = FIX.start(&[]);
    let pid = live.pid();
    for (operation, answer) in [("apply", 2), ("revert", 1)] {
        live.stop();
        let ran = FIX.operate(operation, pid, &["--timeout", "2"]);
        let stopped = || thread_states(pid).values().all(|state| *state == 'T');
        wait_until("all threads are stopped", stopped);
        sleep(Duration::from_millis(20));
        assert!(stopped(), "{:?}: {ran:?}", thread_states(pid));
        let expected = if ran.status == Some(0) {
            answer
        } else {
            refused(&ran, 4, &[&pid.to_string()]);
            3 - answer
        };
        eprintln!("{operation} of a stopped process ends with {:?}", ran.status);
        live.signal("CONT");
        assert_eq!(live.number("a"), expected, "{ran:?}");
    }
    assert_eq!(live.number("m"), 0);
    live.quit();
}

/// The first thread has ended, others work on: there is nobody to ask about the process's mappings.
#[test]
fn process_without_its_first_thread() {
    let mut live = FIX.start(&["leaderless"]);
    let pid = live.pid();
    wait_until("the first thread ends", || thread_states(pid).get(&pid) == Some(&'Z'));
    let before = live.number("n");
    let ran = FIX.operate("apply", pid, &["--timeout", "1"]);
    refused(&ran, 4, &[&format!("first thread of process {pid} has ended")]);
    assert_eq!(live.number("a"), 1);
    wait_until("the others work on", || live.number("n") > before);
}

/// The target ends at any moment of an apply.
#[test]
fn process_that_ends_meanwhile() {
    let mut outcomes = [0; 5];
    for round in 0..60_u64 {
        let live = FIX.start(&[]);
        let mut command = operation_command("apply", &FIX.file, live.pid(), &["--timeout", "1"]);
        let loader = std::thread::spawn(move || run_to_end(&mut command));
        sleep(Duration::from_micros(round * 397 % 12_000));
        live.signal("KILL");
        count(&mut outcomes, &loader.join().expect("the loader ran"));
    }
    eprintln!("killed meanwhile: exit status 0 to 4: {outcomes:?}");
}

/// The target becomes another program at any moment of an apply. execve(2) ends the other threads, and waits for a
/// tracer to take notice of it; the tracer may wait for execve(2) at that time.
#[test]
fn process_that_becomes_another_program_meanwhile() {
    let try_all_the_time = || {
        let mut outcomes = [0; 5];
        let mut changeling = Command::new(&FIX.built.old).args(["reexec", "300"]).spawn().expect("it starts");
        while changeling.try_wait().expect("the child can be waited for").is_none() {
            count(&mut outcomes, &FIX.operate("apply", changeling.id(), &["--timeout", "1"]));
        }
        assert!(changeling.wait().is_ok_and(|status| status.success()), "the target ends well");
        outcomes
    };
    let tries: Vec<_> = (0..4).map(|_| std::thread::spawn(try_all_the_time)).collect();
    for outcomes in tries {
        let outcomes = outcomes.join().expect("the tries end well");
        eprintln!("execve meanwhile: exit status 0 to 4: {outcomes:?}");
    }
}
