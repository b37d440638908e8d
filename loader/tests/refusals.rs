//! What bad input gets: a clear error, and a target whose bytes are unchanged.

mod support;

use loader::apply::{ApplyOptions, LoadedPatch, apply};
use loader::combine::Conflict;
use loader::error::{LoaderError, Severity};
use loader::report::Outcome;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::Duration;
use support::{
    ANSWER, Image, Link, TWIN, Victim, checked_patch, eventually, image, loaded, patch, thread_states,
};

/// Applies, expects an error, and makes sure that not a byte of text and not a mapping changed.
#[track_caller]
fn refused(victim: &mut Victim, image: &Image, loaded: &LoadedPatch) -> LoaderError {
    let (text, mappings) = (victim.text(image), victim.mappings());
    let error = victim.apply_within(loaded, Duration::from_millis(200)).unwrap_err();
    assert!(victim.text(image) == text, "the text is unchanged");
    assert_eq!(victim.mappings(), mappings);
    victim.unharmed();
    error
}

#[test]
fn breakpoint_in_the_body() {
    let image = image(Link::Pie);
    let mut victim = Victim::start(image, &[]);
    let address = victim.address(image, "slow") + 12;
    victim.poke(address, &[0xcc]);
    let error = refused(&mut victim, image, &loaded(patch(image, &[support::SLOW])));
    let LoaderError::BytesDiffer { function, address: found, what } = &error else { panic!("{error}") };
    assert_eq!((function.as_str(), found.0, what.as_str()), ("slow", address, "found cc (a breakpoint)"));
    assert_eq!(error.severity(), Severity::Refused);
    victim.quit();
}

#[test]
fn jump_of_another_tool_at_the_entry() {
    let image = image(Link::Pie);
    let mut victim = Victim::start(image, &[]);
    let address = victim.address(image, "answer");
    // jmp to the next instruction but one, which is the same function's ret
    victim.poke(address, &[0xe9, 0, 0, 0, 0]);
    let patch = loaded(patch(image, &[ANSWER]));
    let error = victim.apply_within(&patch, Duration::from_millis(200)).unwrap_err();
    assert!(error.to_string().contains("found e900000000 (a jump), not b801000000"), "{error}");
    victim.poke(address, &[0xb8, 1, 0, 0, 0]);
    assert_eq!(victim.answer(), 1);
    victim.quit();
}

#[test]
fn another_patch_of_the_same_function() {
    let image = image(Link::Pie);
    let mut victim = Victim::start(image, &[]);
    let first = loaded(patch(image, &[ANSWER, TWIN]));
    let second = loaded(patch(image, &[TWIN]));
    victim.apply(&first).unwrap();
    let text = victim.text(image);
    let error = victim.apply(&second).unwrap_err();
    let LoaderError::Conflict { other, conflict, .. } = &error else { panic!("{error}") };
    assert_eq!((*other, &**conflict), (first.id, &Conflict::SameFunction("twin".to_owned())));
    assert!(victim.text(image) == text);
    victim.revert(&first).unwrap();
    assert_eq!(victim.apply(&second).unwrap().0, Outcome::Applied);
    let report = victim.unharmed_but_mixed();
    assert_eq!((report["answer"], report["twin"]), (1, 2));
    victim.quit();
}

#[test]
fn redirect_changed_after_apply() {
    let image = image(Link::Pie);
    let mut victim = Victim::start(image, &[]);
    let loaded = loaded(checked_patch(image));
    victim.apply(&loaded).unwrap();
    let address = victim.address(image, "answer");
    let patched = victim.text(image);
    victim.poke(address, &[0xcc]);
    let error = victim.revert(&loaded).unwrap_err();
    assert!(
        matches!(&error, LoaderError::ForeignRedirect { function, .. } if function == "answer"),
        "{error}"
    );
    assert!(error.to_string().contains("(a breakpoint)"), "{error}");
    assert_eq!(victim.state().as_deref(), Some("Interrupted"));
    let pid = victim.pid().to_string();
    let place = format!("answer was changed at {address:#x}: found cc");
    for arguments in [&["list", "--pid", &pid][..], &["status"]] {
        let text = String::from_utf8(support::tardigrade(arguments).stdout).unwrap();
        assert!(text.contains(": changed by something else, last applied"), "{text}");
        assert!(text.contains(&place) && text.contains("(a breakpoint); remove that, then"), "{text}");
    }
    let listed = loader::list::list_process(victim.pid()).unwrap();
    let foreign = &listed.patches[0].foreign;
    assert_eq!(foreign.len(), 1, "{foreign:?}");
    assert_eq!((&*foreign[0].function, foreign[0].address.clone()), ("answer", format!("{address:#x}")));
    assert!(foreign[0].what.contains("(a breakpoint)"), "{foreign:?}");
    victim.poke(address, &[0xe9]);
    assert_eq!(loader::list::list_process(victim.pid()).unwrap().patches[0].foreign, []);
    assert!(victim.text(image) == patched);
    assert_eq!(victim.revert(&loaded).unwrap().0, Outcome::Reverted);
    assert_eq!(victim.answer(), 1);
    victim.quit();
}

#[test]
fn record_of_another_version() {
    let image = image(Link::Pie);
    let mut victim = Victim::start(image, &[]);
    let loaded = loaded(checked_patch(image));
    victim.apply(&loaded).unwrap();
    let map = victim.mappings();
    let region = map.iter().find(|line| line.contains("r-xp 00000000 00:00 0")).unwrap();
    let address = u64::from_str_radix(region.split_once('-').unwrap().0, 16).unwrap();
    let version = victim.peek(address + 8);
    victim.poke(address + 8, &1u32.to_le_bytes());
    let text = victim.text(image);
    let errors = [
        victim.apply(&loaded).unwrap_err(),
        victim.revert(&loaded).unwrap_err(),
        loader::list::list_process(victim.pid()).unwrap_err(),
    ];
    for error in errors {
        let LoaderError::RecordVersion { address: at, found, .. } = &error else { panic!("{error}") };
        assert_eq!((at.0, *found, error.severity()), (address, 1, Severity::Refused));
    }
    assert!(victim.text(image) == text);
    victim.poke(address + 8, &version.to_le_bytes());
    assert_eq!(victim.revert(&loaded).unwrap().0, Outcome::Reverted);
    assert_eq!(victim.answer(), 1);
    victim.quit();
}

#[test]
fn wrong_build() {
    let (pie, other) = (image(Link::Pie), image(Link::NonPie));
    let mut made = checked_patch(pie);
    made.target.name = "victim-NonPie".to_owned();
    let mut victim = Victim::start(other, &[]);
    let error = refused(&mut victim, other, &loaded(made));
    let LoaderError::WrongBuild { wanted, found, .. } = &error else { panic!("{error}") };
    assert_eq!((wanted, found.as_slice()), (&pie.build_id, [other.build_id.clone()].as_slice()));
    victim.quit();
}

#[test]
fn constants_changed_in_memory() {
    let image = image(Link::Pie);
    let mut victim = Victim::start(image, &[]);
    victim.poke(victim.address(image, "constant"), b"A");
    let error = refused(&mut victim, image, &loaded(checked_patch(image)));
    assert!(matches!(error, LoaderError::DeltaDiffers(_)), "{error}");
    victim.quit();
}

#[test]
fn no_free_range_near_the_image() {
    let image = image(Link::Pie);
    let mut victim = Victim::start(image, &["crowd"]);
    let error = refused(&mut victim, image, &loaded(checked_patch(image)));
    assert!(matches!(error, LoaderError::NoRoom { .. }), "{error}");
    victim.quit();
}

#[test]
fn system_call_filter_on_all_threads() {
    let image = image(Link::Pie);
    let mut victim = Victim::start(image, &["filter", "paced", "1"]);
    let error = refused(&mut victim, image, &loaded(checked_patch(image)));
    assert!(error.to_string().contains("has a seccomp filter"), "{error}");
    assert_eq!(error.severity(), Severity::Refused);
    victim.quit();
}

#[test]
fn system_call_filter_on_some_threads() {
    let image = image(Link::Pie);
    let mut victim = Victim::start(image, &["paced", "1", "filter", "blocked", "4"]);
    let loaded = loaded(checked_patch(image));
    assert_eq!(victim.apply(&loaded).unwrap().0, Outcome::Applied);
    assert_eq!(victim.answer(), 2);
    victim.quit();
}

#[test]
fn process_under_a_debugger() {
    let image = image(Link::Pie);
    let victim = Victim::start(image, &[]);
    let pid = Pid::from_raw(victim.pid());
    let loaded = loaded(checked_patch(image));
    nix::sys::ptrace::seize(pid, nix::sys::ptrace::Options::empty()).unwrap();
    let own = nix::unistd::gettid().as_raw();
    let (text, mappings) = (victim.text(image), victim.mappings());
    // From another thread: to the kernel this one is the tracer.
    let (number, options) = (victim.pid(), ApplyOptions { timeout: Duration::ZERO, dry_run: false });
    let applied = std::thread::scope(|scope| scope.spawn(|| apply(number, &loaded, &options)).join());
    let error = applied.expect("the thread ends well").unwrap_err();
    assert!(victim.text(image) == text && victim.mappings() == mappings, "nothing is changed");
    assert!(matches!(error, LoaderError::Traced { tracer, .. } if tracer == own), "{error}");
    nix::sys::ptrace::interrupt(pid).unwrap();
    nix::sys::wait::waitpid(pid, None).unwrap();
    nix::sys::ptrace::detach(pid, None).unwrap();
    assert_eq!(victim.apply(&loaded).unwrap().0, Outcome::Applied);
    victim.quit();
}

#[test]
fn pids_that_cannot_be_patched() {
    let loaded = loaded(checked_patch(image(Link::Pie)));
    let options = ApplyOptions { timeout: Duration::ZERO, dry_run: false };
    let try_apply = |pid| apply(pid, &loaded, &options).unwrap_err();
    assert!(matches!(try_apply(2), LoaderError::KernelThread(_)));
    assert!(matches!(try_apply(0x3fff_fff0), LoaderError::NoProcess(_)));
    let (sender, receiver) = std::sync::mpsc::channel();
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let sleeper = std::thread::spawn(move || {
        sender.send(nix::unistd::gettid().as_raw()).unwrap();
        let _ = wait.recv();
    });
    assert!(matches!(try_apply(receiver.recv().unwrap()), LoaderError::NotAProcess { .. }));
    drop(release);
    sleeper.join().unwrap();
    let mut ended = std::process::Command::new("true").spawn().unwrap();
    eventually(|| thread_states(ended.id() as i32) == ['Z']);
    assert!(matches!(try_apply(ended.id() as i32), LoaderError::ProcessEnded(_)));
    ended.wait().unwrap();
}

#[test]
fn stopped_process_stays_stopped() {
    let image = image(Link::Pie);
    let mut victim = Victim::start(image, &["paced", "2"]);
    let pid = Pid::from_raw(victim.pid());
    let loaded = loaded(checked_patch(image));
    kill(pid, Signal::SIGSTOP).unwrap();
    let number = victim.pid();
    let stopped = || thread_states(number).iter().all(|state| *state == 'T');
    eventually(stopped);
    assert_eq!(victim.apply(&loaded).unwrap().0, Outcome::Applied);
    eventually(stopped);
    std::thread::sleep(Duration::from_millis(20));
    assert!(stopped(), "the stop holds");
    kill(pid, Signal::SIGCONT).unwrap();
    assert_eq!(victim.answer(), 2);
    kill(pid, Signal::SIGSTOP).unwrap();
    assert_eq!(victim.revert(&loaded).unwrap().0, Outcome::Reverted);
    eventually(stopped);
    kill(pid, Signal::SIGCONT).unwrap();
    assert_eq!(victim.answer(), 1);
    victim.quit();
}

#[test]
fn forked_child_inherits_the_patch() {
    let image = image(Link::Pie);
    let mut victim = Victim::start(image, &[]);
    let loaded = loaded(checked_patch(image));
    victim.apply(&loaded).unwrap();
    let child: i32 = victim.ask("f").parse().unwrap();
    let listed = loader::list::list_process(child).unwrap();
    assert_eq!(listed.patches.len(), 1);
    assert_eq!(victim.report()["answer"], 2);
    let name = loader::revert::PatchName::of(loaded.id);
    let outcome = loader::revert::revert(child, &name, Duration::from_secs(1)).unwrap().0;
    assert_eq!(outcome, Outcome::Reverted);
    assert_eq!(victim.report()["answer"], 1, "the child answers");
    assert_eq!(victim.state().as_deref(), Some("Applied"), "the parent is as it was");
    victim.quit();
}

#[test]
fn kernel_workers_of_a_virtual_machine() {
    let image = image(Link::Pie);
    let mut victim = Victim::start(image, &["kvm", "paced", "1"]);
    let loaded = loaded(checked_patch(image));
    for _ in 0..5 {
        assert_eq!(victim.apply(&loaded).unwrap().0, Outcome::Applied);
        assert_eq!(victim.answer(), 2);
        assert_eq!(victim.revert(&loaded).unwrap().0, Outcome::Reverted);
    }
    victim.quit();
}

#[test]
fn dry_run_changes_nothing() {
    let image = image(Link::Pie);
    let mut victim = Victim::start(image, &["paced", "1"]);
    let (text, mappings) = (victim.text(image), victim.mappings());
    let options = ApplyOptions { timeout: Duration::from_secs(1), dry_run: true };
    let (outcome, effort) = apply(victim.pid(), &loaded(checked_patch(image)), &options).unwrap();
    assert_eq!((outcome, effort.pause.stop.threads), (Outcome::Applied, 0));
    assert!(victim.text(image) == text);
    assert_eq!(victim.mappings(), mappings);
    assert_eq!(victim.answer(), 1);
    victim.quit();
}
