//! Apply and revert on live targets.

mod support;

use loader::error::LoaderError;
use loader::report::Outcome;
use support::{Link, SLOW, Victim, checked_patch, image, loaded, patch};

fn apply_and_revert(link: Link, arguments: &[&str]) {
    let image = image(link);
    let loaded = loaded(checked_patch(image));
    let mut victim = Victim::start(image, arguments);
    let text = victim.text(image);
    assert_eq!(victim.answer(), 1);
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
    victim.quit();
}

#[test]
fn single_thread_that_waits_for_input() {
    apply_and_revert(Link::Pie, &[]);
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
fn thread_inside_the_function_makes_the_target_busy() {
    let image = image(Link::Pie);
    let loaded = loaded(patch(image, &[SLOW]));
    let mut victim = Victim::start(image, &["inside"]);
    let text = victim.text(image);
    assert_eq!(victim.ask("s"), "in");
    let error = victim.apply_within(&loaded, std::time::Duration::from_millis(300)).unwrap_err();
    let LoaderError::Busy { reason, .. } = &error else { panic!("{error}") };
    assert!(reason.contains("is inside slow (called from victim"), "{reason}");
    assert_eq!(victim.text(image), text);
    assert_eq!(victim.ask("t"), "out");
    assert_eq!(victim.apply(&loaded).unwrap().0, Outcome::Applied);
    victim.unharmed();
    victim.quit();
}
