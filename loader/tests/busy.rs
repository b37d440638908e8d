//! Functions in use make the target busy, wherever the activation hides.

mod support;

use loader::apply::{ApplyOptions, apply};
use loader::error::LoaderError;
use loader::report::Outcome;
use patchfile::{Patch, Place, Relocation, RelocationKind, SectionContents, Symbol, SymbolKind};
use std::time::Duration;
use support::{Image, Link, SLOW, Victim, eventually, image, loaded, patch, thread_states};

const SHORT: Duration = Duration::from_millis(200);

#[track_caller]
fn refuses(victim: &mut Victim, image: &Image, expected: &str) {
    let loaded = loaded(patch(image, &[SLOW]));
    let text = victim.text(image);
    let error = victim.apply_within(&loaded, SHORT).unwrap_err();
    let LoaderError::Busy { reason, .. } = &error else { panic!("{error}") };
    assert!(reason.contains(expected), "{reason}");
    assert!(victim.text(image) == text, "the text is unchanged");
    victim.unharmed();
}

#[track_caller]
fn accepts(victim: &mut Victim, image: &Image) {
    let loaded = loaded(patch(image, &[SLOW]));
    assert_eq!(victim.apply_within(&loaded, SHORT).unwrap().0, Outcome::Applied);
    victim.unharmed();
}

/// The target goes into the function and out of it by these commands; in between it is busy.
#[track_caller]
fn busy_between(arguments: &[&str], [enter, entered]: [&str; 2], [leave, left]: [&str; 2], expected: &str) {
    let image = image(Link::Pie);
    let mut victim = Victim::start(image, arguments);
    assert_eq!(victim.ask(enter), entered);
    refuses(&mut victim, image, expected);
    assert_eq!(victim.ask(leave), left);
    accepts(&mut victim, image);
    victim.quit();
}

const ON_STACK: &str = "is inside slow (called from victim-Pie+";

#[test]
fn function_on_a_stack() {
    busy_between(&["inside"], ["s", "in"], ["t", "out"], ON_STACK);
}

#[test]
fn function_below_a_signal_handler_on_an_alternate_stack() {
    busy_between(&["inside", "below-handler"], ["s", "in"], ["t", "out"], ON_STACK);
}

#[test]
fn function_in_a_parked_coroutine() {
    let expected = "a parked stack may return into slow";
    busy_between(&["in-coroutine"], ["c", "parked"], ["d", "done"], expected);
}

#[test]
fn apply_waits_until_the_thread_has_left() {
    let image = image(Link::Pie);
    let loaded = loaded(patch(image, &[SLOW]));
    let mut victim = Victim::start(image, &["inside", "blocked", "8"]);
    assert_eq!(victim.ask("s"), "in");
    let pid = victim.pid();
    let applying = std::thread::spawn(move || {
        let options = ApplyOptions { timeout: Duration::from_secs(60), dry_run: false };
        apply(pid, &loaded, &options).unwrap()
    });
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(victim.ask("t"), "out");
    let (outcome, effort) = applying.join().unwrap();
    assert_eq!(outcome, Outcome::Applied);
    // The blocked thread was looked at from outside, and nobody stopped for it again and again.
    assert!(effort.pause.attempts <= 4, "{} attempts", effort.pause.attempts);
    victim.unharmed();
    victim.quit();
}

/// A patch whose new `slow` waits like the old one.
fn patch_that_waits(image: &Image) -> Patch {
    let mut made = patch(image, &[SLOW]);
    let slow_body = made.symbols.len();
    made.symbols.push(Symbol {
        name: "slow_body".to_owned(),
        place: Place::Target(patchfile::LinkAddr(image.symbol("slow_body").0)),
        size: 0,
        kind: SymbolKind::Function,
    });
    let section = made.sections.iter_mut().find(|section| section.name == ".text.slow").unwrap();
    // sub $8,%rsp; call slow_body; add $8,%rsp; mov $2,%eax; ret
    let code = "4883ec08e8000000004883c408b802000000c3";
    section.contents = SectionContents::Bytes(hex::decode(code).unwrap());
    section.relocations =
        vec![Relocation { offset: 5, kind: RelocationKind::Pc32, symbol: slow_body, addend: -4 }];
    made.symbols.iter_mut().find(|symbol| symbol.name == "slow").unwrap().size = code.len() as u64 / 2;
    made
}

#[test]
fn thread_inside_new_code_holds_up_the_revert() {
    let image = image(Link::Pie);
    let loaded = loaded(patch_that_waits(image));
    let mut victim = Victim::start(image, &["inside"]);
    let original = victim.text(image);
    assert_eq!(victim.apply(&loaded).unwrap().0, Outcome::Applied);
    assert_eq!(victim.ask("s"), "in");
    let text = victim.text(image);
    let name = loader::revert::PatchName::of(loaded.id);
    let error = loader::revert::revert(victim.pid(), &name, SHORT).unwrap_err();
    assert!(error.to_string().contains(&format!("code of patch {}", loaded.id)), "{error}");
    assert!(victim.text(image) == text);
    assert_eq!(victim.ask("t"), "out");
    assert_eq!(victim.revert(&loaded).unwrap().0, Outcome::Reverted);
    assert!(victim.text(image) == original);
    victim.unharmed();
    victim.quit();
}

#[test]
fn another_process_in_the_same_memory() {
    let image = image(Link::Pie);
    let loaded = loaded(patch(image, &[SLOW]));
    let mut victim = Victim::start(image, &["share"]);
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", victim.pid())).unwrap();
    let error = victim.apply_within(&loaded, SHORT).unwrap_err();
    assert!(matches!(error, LoaderError::SharedMemory { .. }), "{error}");
    assert!(error.to_string().contains(children.trim()), "{error}");
    let child: i32 = children.trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child), nix::sys::signal::Signal::SIGKILL).unwrap();
    eventually(|| thread_states(child).iter().all(|state| *state == 'Z'));
    accepts(&mut victim, image);
    victim.quit();
}

#[test]
fn thread_that_waits_for_a_vfork_child() {
    let image = image(Link::Pie);
    let mut victim = Victim::start(image, &["vfork"]);
    std::thread::sleep(Duration::from_millis(100));
    let loaded = loaded(patch(image, &[SLOW]));
    let error = victim.apply_within(&loaded, SHORT).unwrap_err();
    // The child shares the memory as long as it has executed nothing.
    assert!(matches!(error, LoaderError::DoesNotStop { .. } | LoaderError::SharedMemory { .. }), "{error}");
    std::thread::sleep(Duration::from_secs(1));
    accepts(&mut victim, image);
    victim.quit();
}
