//! Apply and revert on live targets.

mod support;

use loader::report::Outcome;
use support::{Link, Victim, checked_patch, image, loaded};

fn apply_and_revert(link: Link, arguments: &[&str]) {
    let image = image(link);
    let loaded = loaded(checked_patch(image));
    let mut victim = Victim::start(image, arguments);
    let text = victim.text(image);
    assert_eq!(victim.answer(), 1);
    // Threads that have just been started make their heaps and masks.
    std::thread::sleep(std::time::Duration::from_millis(50));
    let before = victim.visible_state();
    assert_eq!(victim.apply(&loaded).unwrap().0, Outcome::Applied);
    let report = victim.unharmed();
    assert_eq!((report["answer"], report["twin"], report["tiny"]), (2, 2, 2));
    assert_eq!(victim.state().as_deref(), Some("Applied"));
    assert_eq!(victim.apply(&loaded).unwrap().0, Outcome::Already);
    assert_ne!(victim.text(image), text);
    assert_eq!(victim.revert(&loaded).unwrap().0, Outcome::Reverted);
    assert_eq!(victim.answer(), 1);
    assert_eq!(victim.text(image), text);
    assert_eq!(victim.state().as_deref(), Some("Inert"));
    assert_eq!(victim.revert(&loaded).unwrap().0, Outcome::Absent);
    let after = victim.visible_state();
    let added: Vec<&String> = after.iter().filter(|line| !before.contains(line)).collect();
    assert_eq!(added.len(), 2, "{added:?}");
    assert!(added[0].contains(" r-xp 00000000 00:00 0") && added[1].contains(" rw-p 00000000 00:00 0"));
    assert!(before.iter().all(|line| after.contains(line)), "{before:?} {after:?}");
    victim.quit();
}

#[test]
fn single_thread_that_waits_for_input() {
    apply_and_revert(Link::Pie, &[]);
}

/// A file that is only read is no second copy of the image: Rust's backtraces map the program's file and keep it.
#[test]
fn own_file_in_memory() {
    apply_and_revert(Link::Pie, &["reader"]);
    apply_and_revert(Link::NonPie, &["reader"]);
}

#[test]
fn non_pie() {
    apply_and_revert(Link::NonPie, &["busy", "1"]);
}

#[test]
fn static_pie() {
    apply_and_revert(Link::StaticPie, &["busy", "1", "blocked", "8"]);
}

#[test]
fn static_executable() {
    apply_and_revert(Link::Static, &["paced", "2", "timers"]);
}

#[test]
fn many_cycles_under_load_leave_no_trace() {
    let image = image(Link::Pie);
    let loaded = loaded(checked_patch(image));
    let mut victim =
        Victim::start(image, &["busy", "1", "paced", "2", "blocked", "16", "timers", "vectors", "breeder"]);
    let text = victim.text(image);
    let mut mappings = 0;
    for cycle in 0..100 {
        assert_eq!(victim.apply(&loaded).unwrap().0, Outcome::Applied, "cycle {cycle}");
        assert_eq!(victim.answer(), 2);
        assert_eq!(victim.revert(&loaded).unwrap().0, Outcome::Reverted, "cycle {cycle}");
        assert_eq!(victim.answer(), 1);
        assert_eq!(victim.text(image), text);
        let regions = victim.mappings().iter().filter(|line| line.contains("r-xp 00000000 00:00 0")).count();
        if cycle == 0 {
            mappings = regions;
        }
        assert_eq!(regions, mappings, "the payload is reused");
    }
    victim.quit();
}

#[test]
fn only_thread_sleeps_in_a_call_with_a_restart_block() {
    let image = image(Link::Pie);
    let loaded = loaded(checked_patch(image));
    let mut victim = Victim::start(image, &["poll"]);
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(victim.apply(&loaded).unwrap().0, Outcome::Applied);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(victim.answer(), 2);
    for _ in 0..5 {
        assert_eq!(victim.revert(&loaded).unwrap().0, Outcome::Reverted);
        assert_eq!(victim.apply(&loaded).unwrap().0, Outcome::Applied);
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(victim.answer(), 2);
    victim.quit();
}

#[test]
fn only_thread_waits_with_a_temporary_signal_mask() {
    let image = image(Link::Pie);
    let loaded = loaded(checked_patch(image));
    for _ in 0..10 {
        // Each first apply makes a system call in the thread.
        let mut victim = Victim::start(image, &["masked"]);
        for _ in 0..20 {
            assert_eq!(victim.apply(&loaded).unwrap().0, Outcome::Applied);
            assert_eq!(victim.answer(), 2);
            assert_eq!(victim.revert(&loaded).unwrap().0, Outcome::Reverted);
            assert_eq!(victim.answer(), 1);
        }
        assert!(victim.unharmed()["ticks"] > 5);
        victim.quit();
    }
}

#[test]
fn loaders_that_work_at_once() {
    let image = image(Link::Pie);
    let file = support::scratch().join("at-once.tgp");
    std::fs::write(&file, checked_patch(image).to_bytes().unwrap()).unwrap();
    let mut victim = Victim::start(image, &["busy", "1", "paced", "2", "blocked", "8"]);
    let text = victim.text(image);
    let run = |operation: &str| {
        std::process::Command::new(env!("CARGO_BIN_EXE_tardigrade"))
            .args([operation, file.to_str().unwrap(), "--pid", &victim.pid().to_string(), "--json"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    for (operation, done, not_needed) in [("apply", "applied", "already"), ("revert", "reverted", "absent")] {
        let mut outcomes: Vec<String> = (0..6)
            .map(|_| run(operation))
            .collect::<Vec<_>>()
            .into_iter()
            .map(|child| {
                let output = child.wait_with_output().unwrap();
                assert!(output.status.success(), "{output:?}");
                let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
                report["results"][0]["outcome"].as_str().unwrap().to_owned()
            })
            .collect();
        outcomes.sort();
        let mut expected = vec![not_needed; 5];
        expected.push(done);
        expected.sort_unstable();
        assert_eq!(outcomes, expected);
    }
    victim.unharmed();
    assert!(victim.text(image) == text);
    victim.quit();
}

#[test]
fn variables_of_the_patch_keep_their_values() {
    let image = image(Link::Pie);
    let loaded = loaded(checked_patch(image));
    let mut victim = Victim::start(image, &[]);
    // The counter is the first word of the writable part, which lies directly behind the code.
    let counter = |victim: &Victim| {
        let maps = victim.mappings();
        let code = maps.iter().position(|line| line.contains("r-xp 00000000 00:00 0")).unwrap();
        assert!(maps[code + 1].contains("rw-p 00000000 00:00 0"), "{maps:?}");
        let start = u64::from_str_radix(maps[code + 1].split_once('-').unwrap().0, 16).unwrap();
        victim.peek(start)
    };
    victim.apply(&loaded).unwrap();
    assert_eq!(counter(&victim), 0);
    victim.unharmed();
    let calls = counter(&victim);
    assert_eq!(calls, 3, "answer, twin and tiny were called once each");
    victim.revert(&loaded).unwrap();
    victim.unharmed();
    assert_eq!(counter(&victim), calls);
    victim.apply(&loaded).unwrap();
    victim.unharmed();
    assert_eq!(counter(&victim), 2 * calls);
    victim.quit();
}
