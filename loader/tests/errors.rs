//! What a user meets when something is in the way: exit status, message, and a target that is as before. Errors that
//! need a target of another kind are in `bad_targets.rs` and `bad_bytes.rs` of the tests.

mod support;

use patchfile::{
    LinkAddr, Patch, PatchId, Place, Relocation, RelocationKind, SectionContents, Symbol, SymbolKind,
};
use serde_json::Value;
use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::{
    ANSWER, Image, Link, SLOW, Victim, checked_patch, eventually, expect, image, loaded, patch, scratch,
    tardigrade, thread_states, written,
};

/// Applying is refused with exit status 4 and this message, and neither text nor mappings change.
#[track_caller]
fn refused(victim: &mut Victim, image: &Image, file: &str, message: &str) {
    unchanged(victim, image, |pid| expect(&["apply", file, "--pid", pid, "--timeout", "0.3"], 4, message));
}

#[track_caller]
fn unchanged(victim: &mut Victim, image: &Image, operation: impl FnOnce(&str)) {
    let (text, mappings) = (victim.text(image), victim.mappings());
    operation(&victim.pid().to_string());
    assert!(victim.text(image) == text, "the text is unchanged");
    assert_eq!(victim.mappings(), mappings);
}

fn json(arguments: &[&str]) -> Value {
    let output = tardigrade(arguments);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn constants_of_the_target_were_changed() {
    let image = image(Link::Pie);
    let file = written(&checked_patch(image), "delta.tgp");
    let mut victim = Victim::start(image, &[]);
    victim.poke(victim.address(image, "constant"), b"A");
    let message =
        "Section .rodata.delta cannot be rebuilt from the target's memory: the constants there were changed";
    refused(&mut victim, image, &file, message);
    victim.quit();
}

/// The new code of `answer`: lock incl counter(%rip); mov $2,%eax; ret
fn text_of_answer(made: &mut Patch) -> &mut patchfile::Section {
    made.sections.iter_mut().find(|section| section.name == ".text.answer").unwrap()
}

#[test]
fn reference_that_does_not_reach() {
    let image = image(Link::Pie);
    let mut made = patch(image, &[ANSWER]);
    let symbol = made.symbols.len();
    made.symbols.push(Symbol {
        name: "far_away".to_owned(),
        place: Place::Target(LinkAddr(image.symbol("slow").0)),
        size: 0,
        kind: SymbolKind::None,
    });
    // The immediate operand of the mov, for the address of a position-independent program.
    text_of_answer(&mut made).relocations.push(Relocation {
        offset: 8,
        kind: RelocationKind::Abs32,
        symbol,
        addend: 0,
    });
    let file = written(&made, "reach.tgp");
    let mut victim = Victim::start(image, &[]);
    refused(&mut victim, image, &file, "The reference to far_away from .text.answer+0x8 does not reach");
    victim.quit();
}

#[test]
fn code_that_is_no_code() {
    let image = image(Link::Pie);
    let mut made = patch(image, &[ANSWER]);
    // push %es, which 64-bit mode does not have
    let SectionContents::Bytes(bytes) = &mut text_of_answer(&mut made).contents else { panic!("bytes") };
    *bytes.last_mut().unwrap() = 0x06;
    let file = written(&made, "code.tgp");
    let mut victim = Victim::start(image, &[]);
    refused(&mut victim, image, &file, "Code of .text.answer as relocated is not certain");
    victim.quit();
}

#[test]
fn text_that_is_writable() {
    let image = image(Link::Pie);
    let file = written(&checked_patch(image), "writable.tgp");
    let mut victim = Victim::start(image, &["writable"]);
    let pid = victim.pid().to_string();
    let message = format!("The code of answer at {:#x} is not a private", victim.address(image, "answer"));
    expect(&["apply", &file, "--pid", &pid], 4, &message);
    assert_eq!(victim.answer(), 1);
    victim.quit();
}

#[test]
fn no_unused_bytes_behind_any_text() {
    let image = image(Link::Pie);
    let file = written(&checked_patch(image), "slack.tgp");
    let mut victim = Victim::start(image, &[]);
    for line in victim.mappings().iter().filter(|line| line.contains(" r-xp ") && !line.contains("vsyscall"))
    {
        let end = line.split(['-', ' ']).nth(1).unwrap();
        victim.poke(u64::from_str_radix(end, 16).unwrap() - 1, &[0xcc]);
    }
    let message = format!("Process {} has no unused bytes behind a text segment", victim.pid());
    refused(&mut victim, image, &file, &message);
    victim.quit();
}

#[test]
fn threads_that_cannot_make_system_calls() {
    let image = image(Link::Pie);
    let file = written(&checked_patch(image), "threads.tgp");
    for (arguments, reason) in [(["filter"], "has a seccomp filter"), (["asleep"], "sleeps in a system call")]
    {
        let mut victim = Victim::start(image, &arguments);
        let pid = victim.pid();
        eventually(|| thread_states(pid).iter().all(|state| *state == 'S'));
        refused(&mut victim, image, &file, &format!("process {pid}: "));
        let message = format!(
            "No thread of process {pid} can make a system call for the loader: thread {pid} {reason}"
        );
        refused(&mut victim, image, &file, &message);
        victim.quit();
    }
}

#[test]
fn thread_that_does_not_stop() {
    let image = image(Link::Pie);
    let file = written(&checked_patch(image), "stuck.tgp");
    let mut victim = Victim::start(image, &["stuck"]);
    let stuck = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", victim.pid())).unwrap();
        let mut stats = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap());
        stats.find(|stat| stat.contains(") D ")).and_then(|stat| Some(stat.split(' ').next()?.to_owned()))
    };
    eventually(|| stuck().is_some());
    let tid = stuck().expect("a thread that waits for the copy");
    let text = victim.text(image);
    let message = format!("Process {} is busy: thread {tid} cannot be stopped (state D)", victim.pid());
    expect(&["apply", &file, "--pid", &victim.pid().to_string(), "--timeout", "0.3"], 4, &message);
    assert!(victim.text(image) == text, "the text is unchanged");
    assert_eq!(victim.answer(), 1);
    victim.quit();
}

#[test]
fn process_in_the_same_memory() {
    let image = image(Link::Pie);
    let file = written(&checked_patch(image), "share.tgp");
    let mut victim = Victim::start(image, &["share"]);
    let pid = victim.pid();
    let child = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let child = child.trim();
    let text = victim.text(image);
    let message = format!("Process {child} shares the memory of process {pid}; it has to end first");
    expect(&["apply", &file, "--pid", &pid.to_string()], 4, &message);
    assert!(victim.text(image) == text, "the text is unchanged");
    assert_eq!(victim.answer(), 1);
    Command::new("kill").args(["-KILL", child]).status().unwrap();
    victim.quit();
}

/// The loader itself may not have the timer that it needs.
#[test]
fn loader_without_timers() {
    let image = image(Link::Pie);
    let file = written(&checked_patch(image), "timers.tgp");
    let mut victim = Victim::start(image, &[]);
    // With the payload there, only the threads remain to be stopped.
    expect(&["apply", &file, "--pid", &victim.pid().to_string()], 0, "");
    expect(&["revert", &file, "--pid", &victim.pid().to_string()], 0, "");
    unchanged(&mut victim, image, |pid| {
        let output = Command::new("prlimit")
            .args(["--sigpending=0:0", env!("CARGO_BIN_EXE_tardigrade"), "apply", &file, "--pid", pid])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(&format!("starting a timer failed for {pid}")), "{text}");
    });
    assert_eq!(victim.answer(), 1);
    victim.quit();
}

/// While the loader waits for a busy function the process becomes another program, or ends.
#[test]
fn process_that_is_another_one_meanwhile() {
    let image = image(Link::Pie);
    let file = written(&patch(image, &[SLOW]), "meanwhile.tgp");
    for (ends, message) in [(false, "runs another program now"), (true, "has ended")] {
        let mut victim = Victim::start(image, &["inside", "paced", "1"]);
        let pid = victim.pid().to_string();
        assert_eq!(victim.ask("s"), "in");
        let loader = Command::new(env!("CARGO_BIN_EXE_tardigrade"))
            .args(["apply", &file, "--pid", &pid, "--timeout", "20"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_secs(1));
        if ends {
            Command::new("kill").args(["-KILL", &pid]).status().unwrap();
        } else {
            assert_eq!(victim.ask("e"), "ready");
        }
        let output = loader.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(&format!("Process {pid} {message}")), "{text}");
        if !ends {
            assert_eq!(victim.answer(), 1);
            victim.quit();
        }
    }
}

/// Two patches whose IDs begin alike, as chance has it once in four thousand million pairs.
fn namesakes(image: &Image) -> [Patch; 2] {
    let made =
        |number: u32| Patch { generator: format!("by hand, attempt {number}"), ..patch(image, &[ANSWER]) };
    let mut numbers: HashMap<[u8; 4], u32> = HashMap::new();
    for number in 0.. {
        let id = PatchId::of_file(&made(number).to_bytes().unwrap());
        if let Some(other) = numbers.insert(id.0[..4].try_into().unwrap(), number) {
            return [made(other), made(number)];
        }
    }
    unreachable!("there are more numbers than beginnings")
}

#[test]
fn beginning_of_two_ids() {
    let image = image(Link::Pie);
    let patches = namesakes(image);
    let [first, second] = patches.clone().map(|patch| loaded(patch).id.to_string());
    let files = [written(&patches[0], "first.tgp"), written(&patches[1], "second.tgp")];
    let mut victim = Victim::start(image, &[]);
    let pid = victim.pid().to_string();
    expect(&["apply", &files[0], "--pid", &pid], 0, "");
    expect(&["revert", &first[..8], "--pid", &pid], 0, "");
    expect(&["apply", &files[1], "--pid", &pid], 0, "");
    let message = format!("ID {} fits several patches: ", &first[..8]);
    // Worse than a refusal is a process that cannot be looked at.
    let all = if support::hidden_processes().is_empty() { 4 } else { 1 };
    for (processes, status) in [(&["--pid", &pid][..], 4), (&["--all"], all)] {
        unchanged(&mut victim, image, |_| {
            let arguments = [&["revert", &first[..8], "--json"], processes].concat();
            expect(&arguments, status, &message);
            let report = json(&arguments);
            let result = &report["results"][0];
            let reason = result["reason"].as_str().unwrap();
            assert_eq!((&result["outcome"], &result["pid"]), (&"refused".into(), &victim_number(&pid)));
            assert!(reason.contains(&first) && reason.contains(&second), "{reason}");
        });
    }
    let report = json(&["revert", &second, "--all", "--json"]);
    assert_eq!(report["results"][0]["outcome"], "reverted");
    victim.quit();
}

fn victim_number(pid: &str) -> Value {
    pid.parse::<i32>().unwrap().into()
}

#[test]
fn dry_run_says_what_would_be() {
    let image = image(Link::Pie);
    let file = written(&checked_patch(image), "dry.tgp");
    let mut victim = Victim::start(image, &["paced", "1"]);
    unchanged(&mut victim, image, |pid| {
        let output = tardigrade(&["apply", &file, "--pid", pid, "--dry-run"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(
            (output.status.code(), text),
            (Some(0), format!("process {pid}: would apply, 3 functions\n"))
        );
        assert!(output.stderr.is_empty(), "{output:?}");
        let report = json(&["apply", &file, "--pid", pid, "--dry-run", "--json"]);
        assert_eq!(report["dry_run"], true);
        assert_eq!(report["results"][0]["outcome"], "applied");
        assert_eq!(report["results"][0]["dry_run"], true);
    });
    // The same with a payload that is there already.
    let pid = victim.pid().to_string();
    let report = json(&["apply", &file, "--pid", &pid, "--json"]);
    assert_eq!((&report["dry_run"], &report["results"][0]["dry_run"]), (&Value::Null, &Value::Null));
    expect(&["revert", &file, "--pid", &pid], 0, "");
    unchanged(&mut victim, image, |pid| {
        let output = tardigrade(&["apply", &file, "--pid", pid, "--dry-run"]);
        assert!(String::from_utf8_lossy(&output.stdout).contains("would apply, 3 functions"), "{output:?}");
    });
    assert_eq!(victim.answer(), 1);
    victim.quit();
}

/// A package manager renames the program, or removes it, between two applies.
#[test]
fn program_renamed_meanwhile() {
    let original = image(Link::Pie);
    let place = |name: &str| scratch().join(name);
    std::fs::copy(&original.path, place("before")).unwrap();
    let before = Image::read(place("before"));
    let file = written(&checked_patch(&before), "renamed.tgp");
    let mut victim = Victim::start(&before, &[]);
    let pid = victim.pid().to_string();
    let regions = |victim: &Victim| {
        victim.mappings().iter().filter(|line| line.contains("r-xp 00000000 00:00 0")).count()
    };
    expect(&["apply", &file, "--pid", &pid], 0, "");
    let count = regions(&victim);
    for (step, image) in [("rename", place("after")), ("remove", place("after"))] {
        expect(&["revert", &file, "--pid", &pid], 0, "");
        assert_eq!(victim.answer(), 1);
        match step {
            "rename" => std::fs::rename(place("before"), &image).unwrap(),
            _ => std::fs::remove_file(&image).unwrap(),
        }
        expect(&["apply", &file, "--pid", &pid], 0, "");
        assert_eq!(victim.answer(), 2, "{step}");
        assert_eq!(regions(&victim), count, "the payload is reused after {step}");
        let listed = json(&["list", "--pid", &pid, "--json"]);
        let entry = &listed["processes"][0]["patches"][0];
        assert_eq!((&entry["state"], &entry["image"]), (&"applied".into(), &image.to_str().unwrap().into()));
        let status = json(&["status", "--json"]);
        let processes = status["processes"].as_array().unwrap();
        let process = processes.iter().find(|process| process["pid"] == victim.pid()).unwrap();
        assert_eq!(process["build_id"], before.build_id.to_string(), "{step}");
    }
    victim.quit();
}
