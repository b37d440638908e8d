//! The Rust sample VMM, built as Rust VMMs ship: stripped, with a seccomp filter on each thread that a guest can reach.
//! The filters kill, so a call that the loader made on one of these threads would end the guest.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tardigrade_tests::live::done;
use tardigrade_tests::snapshot::{Snapshot, Usage};
use tardigrade_tests::vmm::{Vmm, all_advanced, assert_guest_unharmed, minivmm_rs, number};
use tardigrade_tests::{Ran, patchgen};

const CYCLES: usize = 30;
/// How much more memory may be in use at the end than after the first cycle, in KiB: see `vmm_cycles.rs`.
const GROWTH: u64 = 300;

/// What the generator says about two versions.
fn diff(old: &str, new: &str, output: &Path) -> Ran {
    let (old, new) = (minivmm_rs(old), minivmm_rs(new));
    let arguments = [old.as_os_str(), new.as_os_str(), "-o".as_ref(), output.as_os_str(), "--json".as_ref()];
    patchgen(&[&["diff".as_ref()], &arguments[..]].concat())
}

/// The functions of a verdict with this change.
fn functions<'a>(verdict: &'a Value, change: &str) -> Vec<&'a str> {
    let all = verdict["functions"].as_array().into_iter().flatten();
    all.filter(|function| function["change"] == change)
        .filter_map(|function| function["name"].as_str())
        .collect()
}

/// Makes the patch from v1 to v2, and asserts that it replaces exactly the function that was fixed.
#[track_caller]
fn fix(output: &Path) {
    let ran = diff("v1", "v2", output);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let verdict = ran.json();
    let changed = functions(&verdict, "changed");
    let [name] = changed.as_slice() else { panic!("not exactly one function: {changed:?}") };
    for part in ["BlockDevice", "PortDevice", "read"] {
        assert!(name.contains(part), "{name}");
    }
    for change in ["new", "removed"] {
        assert_eq!(functions(&verdict, change), Vec::<&str>::new());
    }
    assert_eq!((&verdict["types_checked"], &verdict["coverage"]["undecided"]), (&true.into(), &0.into()));
}

/// Whether a seccomp filter confines each thread, by the thread's name.
fn filtered(pid: u32) -> BTreeMap<String, bool> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process is alive");
    let status = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    let field = |status: &str, name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.expect("the kernel tells it").trim().to_owned()
    };
    status.map(|status| (field(&status, "Name:"), field(&status, "Seccomp:") == "2")).collect()
}

/// Applies and reverts under a guest that works all the time, `cycles` times.
#[track_caller]
fn guest_is_fixed_and_back(more: &[&str], cycles: usize) {
    let folder = tempfile::tempdir().expect("a directory");
    let patch = folder.path().join("fix.tgp");
    fix(&patch);
    let vmm = Vmm::of(&minivmm_rs("v1"), more);
    let pid = vmm.pid();
    eprintln!("the guest runs on {}", vmm.accelerator);
    let begin = vmm.watch("probe_leaks", 1);
    let threads = filtered(pid);
    for (name, confined) in &threads {
        let reachable = name == "io" || name.starts_with("vcpu");
        assert!(*confined || !reachable, "{name} has no filter: {threads:?}");
    }
    assert!(threads.values().filter(|confined| **confined).count() >= 3, "{threads:?}");
    let before = Snapshot::at_rest(pid, "");
    before.assert_text_is_of_files();

    let (mut last, mut mapped, mut usage) = (begin.clone(), Vec::new(), None);
    for cycle in 1..=cycles {
        assert_eq!(done("apply", &patch, pid)["functions"], 1);
        if cycle % 10 == 1 {
            // A probe that began before the patch may be told after it.
            let first = vmm.watch("probe_refused", 2);
            let now = vmm.watch("probe_refused", 2);
            assert_eq!(
                number(&now, "probe_leaks"),
                number(&first, "probe_leaks"),
                "the guest still sees the bug"
            );
            assert!(all_advanced(&last, &now), "the guest stands still in cycle {cycle}");
            last = now;
        }
        done("revert", &patch, pid);
        let new_maps = before.assert_same(pid, "");
        if cycle == 1 {
            usage = Some(Usage::of(pid));
            mapped = new_maps;
            assert!(!mapped.iter().any(|line| line.contains("wx")), "{mapped:?}");
        } else {
            assert_eq!(new_maps, mapped, "the payload is reused in cycle {cycle}");
        }
    }
    let end = vmm.watch("probe_leaks", 2);
    assert!(all_advanced(&begin, &end), "{end}");
    assert_guest_unharmed(&end);
    for unchanged in ["epoll_eintr", "fds", "build_id"] {
        assert_eq!(end[unchanged], begin[unchanged], "{unchanged}");
    }
    let (first, last) = (usage.expect("taken in the first cycle"), Usage::of(pid));
    assert!(last.resident <= first.resident + GROWTH, "{first:?} became {last:?}");
    before.assert_same(pid, "");
    assert_eq!(filtered(pid), threads);
    vmm.quit();
}

#[test]
fn running_guest_is_fixed_and_back() {
    guest_is_fixed_and_back(&["--cpus", "4", "--pace-us", "50"], CYCLES);
}

#[test]
fn guest_on_the_software_cpu() {
    guest_is_fixed_and_back(&["--accel", "soft"], 3);
}

/// Comments move lines, and with them the places that panics report.
#[test]
fn comments_change_nothing() {
    let folder = tempfile::tempdir().expect("a directory");
    let output = folder.path().join("lines.tgp");
    let ran = diff("v1", "lines", &output);
    assert_eq!(ran.status, Some(3), "{ran:?}");
    for change in ["changed", "new", "removed"] {
        assert_eq!(functions(&ran.json(), change), Vec::<&str>::new());
    }
    assert!(!output.exists());
}

/// The refusal names the type with its crate and module, and the member.
#[test]
fn changed_structure_is_refused() {
    let folder = tempfile::tempdir().expect("a directory");
    let output = folder.path().join("v3.tgp");
    for old in ["v1", "v2"] {
        let ran = diff(old, "v3", &output);
        assert_eq!(ran.status, Some(4), "{ran:?}");
        let verdict = ran.json();
        let named = |refusal: &&Value| {
            let text = |field: &str| refusal[field].as_str().unwrap_or_default().to_owned();
            text("subject").ends_with("minivmm_rs::devices::block::BlockDevice")
                && text("detail").contains("config_refused")
        };
        let refusals = verdict["refusals"].as_array().expect("a list");
        let refusal = refusals.iter().find(named).unwrap_or_else(|| panic!("{refusals:?}"));
        assert_eq!(refusal["kind"], "type-layout");
        assert!(!output.exists(), "a patch is written although the builds are unpatchable");
    }
}
