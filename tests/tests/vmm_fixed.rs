//! Two builds go in, a running VMM comes out fixed, and the change can be taken back; all as the contract of the
//! command line says.

use serde_json::Value;
use std::fs;
use std::path::Path;
use tardigrade_tests::live::{operate, tardigrade, wait_until};
use tardigrade_tests::snapshot::Snapshot;
use tardigrade_tests::vmm::{Vmm, all_advanced, assert_guest_unharmed, diff_versions, minivmm, number};
use tardigrade_tests::{Ran, patchgen};

/// What a field of a document holds.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    TextOrNull,
    Number,
    Bool,
    List,
    Object,
}
use Kind::{Bool, List, Number, Object, Text, TextOrNull};

/// Asserts that `value` has these fields; it may have more.
#[track_caller]
fn has_fields(value: &Value, fields: &[(&str, Kind)]) {
    for (name, kind) in fields {
        let field = value.get(name).unwrap_or_else(|| panic!("no \"{name}\" in {value}"));
        let fits = match kind {
            Text => field.is_string(),
            TextOrNull => field.is_string() || field.is_null(),
            Number => field.is_u64(),
            Bool => field.is_boolean(),
            List => field.is_array(),
            Object => field.is_object(),
        };
        assert!(fits, "\"{name}\" is not of the kind {kind:?}: {field}");
    }
}

/// Asserts that a report of apply or revert is as the contract says and has one result with this outcome; returns it.
#[track_caller]
fn operated(ran: &Ran, command: &str, patch: &str, pid: u32, outcome: &str) -> Value {
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let report = ran.json();
    has_fields(&report, &[("schema", Text), ("patch", Text), ("results", List)]);
    assert_eq!(report["schema"], format!("tardigrade.{command}/1"));
    assert_eq!(report["patch"], patch);
    let [result] = report["results"].as_array().map_or(&[][..], Vec::as_slice) else { panic!("{report}") };
    has_fields(
        result,
        &[
            ("pid", Number),
            ("outcome", Text),
            ("reason", TextOrNull),
            ("threads", Number),
            ("functions", Number),
            ("stop_us_total", Number),
            ("stop_us_max_thread", Number),
            ("transition_us", Number),
        ],
    );
    assert_eq!((&result["pid"], &result["outcome"]), (&pid.into(), &outcome.into()));
    result.clone()
}

/// The patches that `tardigrade list` shows for a process, checked against the contract.
#[track_caller]
fn listed(pid: u32) -> Vec<Value> {
    let ran = tardigrade(&["list", "--pid", &pid.to_string(), "--json"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let list = ran.json();
    has_fields(&list, &[("schema", Text), ("processes", List), ("kernel", List)]);
    assert_eq!(list["schema"], "tardigrade.list/1");
    let process = &list["processes"][0];
    has_fields(process, &[("pid", Number), ("exe", Text), ("patches", List)]);
    assert_eq!(process["pid"], pid);
    let patches = process["patches"].as_array().cloned().unwrap_or_default();
    for patch in &patches {
        let fields = [("id", Text), ("image", Text), ("build_id", Text), ("state", Text)];
        has_fields(patch, &fields);
        has_fields(patch, &[("functions", List), ("applied_at", TextOrNull)]);
    }
    patches
}

/// The verdict on v1 and v2, checked against the contract; returns the patch's ID.
#[track_caller]
fn verdict(patch: &Path) -> String {
    let (old, new) = (minivmm("v1"), minivmm("v2"));
    let arguments = [
        "diff".as_ref(),
        old.as_os_str(),
        new.as_os_str(),
        "-o".as_ref(),
        patch.as_os_str(),
        "--json".as_ref(),
    ];
    let ran = patchgen(&arguments);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let verdict = ran.json();
    has_fields(&verdict, &[("schema", Text), ("verdict", Text), ("target", Object), ("replacement", Object)]);
    has_fields(&verdict, &[("coverage", Object), ("types_checked", Bool), ("functions", List)]);
    has_fields(&verdict, &[("refusals", List), ("warnings", List), ("patch", Object)]);
    has_fields(&verdict["target"], &[("path", Text), ("build_id", Text)]);
    has_fields(&verdict["replacement"], &[("path", Text), ("build_id", Text)]);
    let counts = ["compared", "unchanged", "changed", "new", "removed", "line_only", "refused", "undecided"];
    has_fields(&verdict["coverage"], &counts.map(|count| (count, Number)));
    has_fields(&verdict["patch"], &[("path", Text), ("id", Text), ("bytes", Number)]);
    for function in verdict["functions"].as_array().into_iter().flatten() {
        has_fields(function, &[("name", Text), ("source", TextOrNull), ("change", Text), ("reasons", List)]);
        has_fields(function, &[("old_size", Number), ("new_size", Number)]);
    }
    assert_eq!(
        (&verdict["schema"], &verdict["verdict"]),
        (&"tardigrade.verdict/1".into(), &"patchable".into())
    );
    assert_eq!(verdict["coverage"]["undecided"], 0);
    assert_eq!(verdict["types_checked"], true);
    let size = fs::metadata(patch).expect("the patch is written").len();
    assert_eq!(verdict["patch"]["bytes"], size);
    verdict["patch"]["id"].as_str().expect("an ID").to_owned()
}

/// Waits until the guest has tried to read past the end several times, and asserts that it never succeeded.
#[track_caller]
fn is_fixed(vmm: &Vmm) {
    // A probe that began before the patch may be told after it.
    let first = vmm.watch("probe_refused", 2);
    let lines = vmm.serial().len();
    let says = |what: &str| vmm.serial()[lines..].iter().any(|line| line.contains(what));
    let later = vmm.watch("probe_refused", 2);
    assert_eq!(number(&later, "probe_leaks"), number(&first, "probe_leaks"), "the guest still sees the bug");
    assert!(all_advanced(&first, &later));
    wait_until("the guest prints what it read", || says("guest probe: refused (ff)"));
    assert!(!says("leaked"), "{:?}", vmm.serial());
}

#[test]
fn running_guest_is_fixed_and_back() {
    let folder = tempfile::tempdir().expect("a directory");
    let patch = folder.path().join("fix.tgp");
    let id = verdict(&patch);
    let vmm = Vmm::start("v1", &[]);
    let pid = vmm.pid();
    eprintln!("the guest runs on {}", vmm.accelerator);
    let begin = vmm.watch("probe_leaks", 1);
    // The guest tells its counters first and prints then.
    wait_until("the guest prints what it read", || {
        vmm.serial().iter().any(|line| line.contains("guest probe: leaked \"S3CR3T-T0KEN\""))
    });
    let before = Snapshot::at_rest(pid, "");
    assert!(listed(pid).is_empty());
    operated(&operate("revert", &id, pid, &["--json"]), "revert", &id, pid, "absent");

    // A dry run changes nothing.
    let dry = operate("apply", &patch, pid, &["--json", "--dry-run"]);
    operated(&dry, "apply", &id, pid, "applied");
    assert!(listed(pid).is_empty());
    assert!(before.assert_same(pid, "").is_empty(), "a dry run mapped memory");
    vmm.watch("probe_leaks", 1);

    let applied = operated(&operate("apply", &patch, pid, &["--json"]), "apply", &id, pid, "applied");
    assert_eq!(applied["functions"], 1);
    assert!(applied["threads"].as_u64() >= Some(4), "main thread, I/O thread, two vCPUs: {applied}");
    assert!(applied["stop_us_total"].as_u64() > Some(0), "{applied}");
    is_fixed(&vmm);
    let patches = listed(pid);
    let [entry] = patches.as_slice() else { panic!("{patches:?}") };
    assert_eq!((&entry["id"], &entry["state"]), (&id.clone().into(), &"applied".into()));
    assert_eq!(entry["functions"][0]["name"], "block_port_read");
    assert_eq!(entry["build_id"], begin["build_id"]);
    assert!(entry["applied_at"].is_string(), "{entry}");

    operated(&operate("apply", &patch, pid, &["--json"]), "apply", &id, pid, "already");
    let first_region = before.difference(&Snapshot::at_rest(pid, "")).new_maps;
    operated(&operate("revert", &id, pid, &["--json"]), "revert", &id, pid, "reverted");
    vmm.watch("probe_leaks", 2);
    assert_eq!(before.assert_same(pid, ""), first_region, "the payload stays where it is");
    assert_eq!(listed(pid)[0]["state"], "inert");
    operated(&operate("revert", &patch, pid, &["--json"]), "revert", &id, pid, "absent");

    // Applied again, the payload is used again; a part of the ID names the patch as well.
    operated(&operate("apply", &patch, pid, &["--json"]), "apply", &id, pid, "applied");
    is_fixed(&vmm);
    assert_eq!(before.difference(&Snapshot::at_rest(pid, "")).new_maps, first_region);
    operated(&operate("revert", &id[..8], pid, &["--json"]), "revert", &id[..8], pid, "reverted");
    let end = vmm.watch("probe_leaks", 1);
    assert_eq!(before.assert_same(pid, ""), first_region);
    assert!(all_advanced(&begin, &end));
    assert_guest_unharmed(&end);
    assert_eq!(end["epoll_eintr"], begin["epoll_eintr"]);
    vmm.quit();
}

/// A running v1 does not take the patch for another build of itself, and v3 has none.
#[test]
fn changed_structure_is_refused() {
    let folder = tempfile::tempdir().expect("a directory");
    let output = folder.path().join("v3.tgp");
    for old in ["v1", "v2"] {
        let ran = diff_versions(old, "v3", &output);
        assert_eq!(ran.status, Some(4), "{ran:?}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("struct block_device"), "{said}");
        assert!(said.contains("config_refused"), "the new member is named: {said}");
        assert!(!output.exists(), "a patch is written although the builds are unpatchable");
    }
    let same = diff_versions("v1", "v1", &output);
    assert_eq!(same.status, Some(3), "{same:?}");
    assert!(!output.exists());
}

/// `status` knows the machine monitor and its patch.
#[test]
fn status_shows_the_patched_vmm() {
    let folder = tempfile::tempdir().expect("a directory");
    let patch = folder.path().join("fix.tgp");
    assert_eq!(diff_versions("v1", "v2", &patch).status, Some(0));
    let vmm = Vmm::start("v1", &[]);
    let pid = vmm.pid();
    let build_id = vmm.status()["build_id"].clone();
    assert_eq!(operate("apply", &patch, pid, &[]).status, Some(0));
    let ran = tardigrade(&["status", "--json"]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let status = ran.json();
    assert_eq!(status["schema"], "tardigrade.status/1");
    let processes = status["processes"].as_array().cloned().unwrap_or_default();
    let own = processes.iter().find(|process| process["pid"] == pid).expect("the VMM is listed");
    assert_eq!((&own["build_id"], &own["vmm"]), (&build_id, &(vmm.accelerator == "kvm").into()));
    assert_eq!(own["patches"][0]["state"], "applied");
    vmm.quit();
}
