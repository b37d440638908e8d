//! The command line: exit statuses, documents, messages.

mod support;

use serde_json::Value;
use support::{Link, Victim, checked_patch, expect, image, scratch, tardigrade, written};

fn patch_file(name: &str) -> String {
    written(&checked_patch(image(Link::Pie)), name)
}

#[test]
fn exit_statuses_and_messages() {
    let patch = patch_file("statuses.tgp");
    let truncated = scratch().join("truncated.tgp");
    std::fs::write(&truncated, &std::fs::read(&patch).unwrap()[..100]).unwrap();
    let truncated = truncated.to_string_lossy();
    expect(&["apply", &patch], 2, "required");
    expect(&["apply", &patch, "--pid", "1", "--all"], 2, "cannot be used with");
    expect(&["apply", &patch, "--pid", "many"], 2, "invalid value");
    expect(&["apply", "missing.tgp", "--pid", "1"], 2, "Cannot read missing.tgp");
    expect(&["apply", &truncated, "--pid", "1"], 2, "Cannot use");
    expect(&["apply", &patch, "--pid", "999999999"], 1, "There is no process 999999999");
    expect(&["apply", &patch, "--pid", "2"], 4, "2 is a kernel thread");
    expect(&["apply", &patch, "--pid", "2", "--pid", "999999999"], 1, "kernel thread");
    expect(&["revert", "no-patch", "--all"], 2, "neither a patch ID");
    expect(&["revert", "0", "--all"], 2, "\"0\" is neither a patch ID (8 to 64 hex digits) nor a patch file");
    expect(&["revert", "0123456", "--pid", "1"], 2, "8 to 64 hex digits");
    for pid in ["0", "-4", "2147483648"] {
        let pid = format!("--pid={pid}");
        for arguments in [&["apply", &patch, &pid][..], &["revert", "01234567", &pid], &["list", &pid]] {
            expect(arguments, 2, "invalid value");
        }
    }
    expect(&["list", "--pid", "999999999"], 1, "There is no process");
    let own = std::process::id().to_string();
    expect(&["apply", &patch, "--pid", &own], 4, "has no image with build ID");
    expect(&["revert", &patch, "--pid", &own], 0, "");
    assert_eq!(tardigrade(&["--help"]).status.code(), Some(0));
}

/// A process that nothing is known of did not get what was asked for.
#[test]
fn processes_that_cannot_be_looked_at() {
    let hidden: Vec<i32> = support::hidden_processes();
    let output = tardigrade(&["revert", "01234567", "--all", "--json"]);
    assert_eq!(output.status.code(), Some(i32::from(!hidden.is_empty())), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let results = report["results"].as_array().unwrap();
    assert!(results.iter().all(|result| result["outcome"] == "failed"), "{results:?}");
    let pids: Vec<i64> = results.iter().filter_map(|result| result["pid"].as_i64()).collect();
    assert_eq!(pids, hidden.iter().map(|pid| i64::from(*pid)).collect::<Vec<_>>());

    // Another user sees the processes of its own only.
    let victim = Victim::start(image(Link::Pie), &[]);
    let program = scratch().join("tardigrade");
    std::fs::copy(env!("CARGO_BIN_EXE_tardigrade"), &program).unwrap();
    let mut command = std::process::Command::new(&program);
    let nobody = std::os::unix::process::CommandExt::uid(&mut command, 65534);
    let output = nobody.args(["revert", "01234567", "--all", "--json"]).output();
    let output = output.expect("the directory is open to others");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let result = report["results"].as_array().unwrap().iter().find(|result| result["pid"] == victim.pid());
    let result = result.expect("the process is named");
    assert_eq!(result["outcome"], "failed");
    assert!(result["reason"].as_str().unwrap().contains("No permission"), "{result}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.contains(" could not be looked at, permission denied: ") && text.contains("run as root"),
        "{text}"
    );
    victim.quit();
}

#[test]
fn documents() {
    let patch = patch_file("documents.tgp");
    let image = image(Link::Pie);
    let victim = Victim::start(image, &["paced", "1"]);
    let pid = victim.pid().to_string();
    let json = |arguments: &[&str]| -> Value {
        let output = tardigrade(arguments);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let applied = json(&["apply", &patch, "--pid", &pid, "--json"]);
    assert_eq!(applied["schema"], "tardigrade.apply/1");
    let result = &applied["results"][0];
    assert_eq!(
        (&result["outcome"], &result["threads"], &result["functions"]),
        (&"applied".into(), &2.into(), &3.into())
    );
    assert!(result["stop_us_total"].as_u64() >= result["stop_us_max_thread"].as_u64());
    assert!(result["transition_us"].as_u64() < result["stop_us_total"].as_u64());

    let listed = json(&["list", "--json"]);
    assert_eq!((&listed["schema"], &listed["kernel"]), (&"tardigrade.list/1".into(), &Value::Array(vec![])));
    let processes = listed["processes"].as_array().unwrap();
    let process = processes.iter().find(|process| process["pid"] == victim.pid()).unwrap();
    assert_eq!(process["exe"], image.path.to_str().unwrap());
    let entry = &process["patches"][0];
    assert_eq!((&entry["state"], &entry["id"]), (&"applied".into(), &applied["patch"]));
    assert_eq!(entry["build_id"], image.build_id.to_string());
    assert_eq!(entry["functions"][0]["name"], "answer");
    assert_eq!(entry["functions"][0]["old_address"], format!("{:#x}", victim.address(image, "answer")));

    let status = json(&["status", "--json"]);
    let process =
        status["processes"].as_array().unwrap().iter().find(|process| process["pid"] == victim.pid());
    assert_eq!(process.unwrap()["build_id"], image.build_id.to_string());

    let id = applied["patch"].as_str().unwrap();
    let reverted = json(&["revert", &id[..8], "--pid", &pid, "--json"]);
    assert_eq!(reverted["schema"], "tardigrade.revert/1");
    assert_eq!(reverted["results"][0]["outcome"], "reverted");
    victim.quit();
}
