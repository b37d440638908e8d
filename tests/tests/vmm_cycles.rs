//! A process shows no trace of a hundred cycles of apply and revert under load.

use serde_json::Value;
use std::collections::BTreeMap;
use tardigrade_tests::Pair;
use tardigrade_tests::live::{Fix, Live, done};
use tardigrade_tests::snapshot::{Snapshot, Usage};
use tardigrade_tests::vmm::{Vmm, all_advanced, assert_guest_unharmed, diff_versions, number};

const CYCLES: usize = 100;
/// How much more memory may be in use at the end than after the first cycle, in KiB: the target's own stacks and heap
/// reach their full size at some time, but nothing may be left behind each cycle.
const GROWTH: u64 = 300;
const WAITERS: &str = include_str!("targets/waiters.c");

/// Asserts that the only new mapping is one that is executable, not writable, and of no file; returns it.
#[track_caller]
fn payload(new_maps: &[String]) -> String {
    let [line] = new_maps else { panic!("not exactly one new mapping: {new_maps:?}") };
    assert!(line.contains(" r-xp 00000000 00:00 0"), "{line}");
    line.clone()
}

/// The median and the greatest of some microseconds.
fn pauses(mut times: Vec<u64>) -> String {
    times.sort_unstable();
    format!("p50 {} us, max {} us", times[times.len() / 2], times[times.len() - 1])
}

#[test]
fn vmm_with_a_working_guest() {
    let folder = tempfile::tempdir().expect("a directory");
    let patch = folder.path().join("fix.tgp");
    assert_eq!(diff_versions("v1", "v2", &patch).status, Some(0));
    let vmm = Vmm::start("v1", &["--cpus", "4", "--pace-us", "50"]);
    let pid = vmm.pid();
    eprintln!("the guest runs on {}", vmm.accelerator);
    let begin = vmm.watch("probe_leaks", 1);
    let before = Snapshot::at_rest(pid, "");
    before.assert_text_is_of_files();

    let (mut region, mut usage) = (String::new(), None);
    let (mut stops, mut last) = (Vec::new(), begin.clone());
    for cycle in 1..=CYCLES {
        stops.push(done("apply", &patch, pid)["stop_us_total"].as_u64().expect("a time"));
        if cycle % 10 == 1 {
            let now = vmm.watch("disk_verified", 1);
            assert!(all_advanced(&last, &now), "the guest's counters stand still in cycle {cycle}");
            last = now;
        }
        stops.push(done("revert", &patch, pid)["stop_us_total"].as_u64().expect("a time"));
        let found = payload(&before.assert_same(pid, ""));
        if cycle == 1 {
            region = found;
            usage = Some(Usage::of(pid));
        } else {
            assert_eq!(found, region, "the payload is reused in cycle {cycle}");
        }
    }
    let end = vmm.watch("probe_leaks", 1);
    let (first, last) = (usage.expect("taken in cycle 1"), Usage::of(pid));
    assert!(all_advanced(&begin, &end), "{end}");
    assert_guest_unharmed(&end);
    for unchanged in ["epoll_eintr", "fds", "build_id"] {
        assert_eq!(end[unchanged], begin[unchanged], "{unchanged}");
    }
    assert!(number(&end, "probe_refused") > 0, "the new code never ran");
    assert!(last.resident <= first.resident + GROWTH, "{first:?} became {last:?}");
    assert_eq!(last.data, first.data, "private memory grows");
    before.assert_same(pid, "");
    eprintln!(
        "{} cycles on {}: stop of all threads {}; {first:?} became {last:?}; region {region}",
        CYCLES,
        vmm.accelerator,
        pauses(stops)
    );
    vmm.quit();
}

#[test]
fn threads_in_every_kind_of_wait() {
    let fix = Fix::of(Pair::edit(WAITERS, "return x * 3 + 1;", "return x * 3 + 2;"));
    let mut live = fix.start(&[]);
    let pid = live.pid();
    assert_eq!(live.ask("h"), "held");
    let (before, first) = (Snapshot::at_rest(pid, "churn"), Usage::of(pid));
    before.assert_text_is_of_files();
    assert_eq!(live.ask("g"), "going");

    let (mut region, mut stops) = (String::new(), Vec::new());
    let begin = report(&mut live);
    let mut progress = report(&mut live);
    for cycle in 1..=CYCLES {
        stops.push(done("apply", &fix.file, pid)["stop_us_total"].as_u64().expect("a time"));
        let now = report(&mut live);
        assert_eq!(now.answer, 2, "cycle {cycle}");
        stops.push(done("revert", &fix.file, pid)["stop_us_total"].as_u64().expect("a time"));
        if cycle == 1 || cycle == CYCLES {
            assert_eq!(live.ask("h"), "held", "pokes are lost: {:?}", report(&mut live));
            let found = payload(&before.assert_same(pid, "churn"));
            if cycle == 1 {
                region = found;
            } else {
                assert_eq!(found, region, "the payload is reused");
            }
            assert_eq!(live.ask("g"), "going");
        }
        if cycle % 50 == 0 {
            now.assert_undisturbed(&progress);
            progress = now;
        }
    }
    assert_eq!(live.ask("h"), "held");
    let end = report(&mut live);
    assert_eq!(end.answer, 1);
    end.assert_undisturbed(&begin);
    for waiter in end.waiters.values() {
        assert_eq!(waiter["sent"], waiter["got"], "a wake-up is lost: {waiter:?}");
    }
    let last = Usage::of(pid);
    assert!(last.resident <= first.resident + GROWTH, "{first:?} became {last:?}");
    assert_eq!(last.data, first.data, "private memory grows");
    eprintln!(
        "{CYCLES} cycles, {} waiters, {} threads made and ended: stop of all threads {}; {} ticks in {} us; {first:?} became {last:?}",
        end.waiters.len(),
        end.total["churned"],
        pauses(stops),
        end.total["ticks"],
        end.total["ticking_us"]
    );
    live.quit();
}

/// What the waiters have seen.
#[derive(Debug)]
struct Report {
    answer: i64,
    total: BTreeMap<String, i64>,
    waiters: BTreeMap<String, BTreeMap<String, i64>>,
}

#[track_caller]
fn report(live: &mut Live) -> Report {
    let line = live.ask("r");
    let document: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let numbers = |value: &Value| -> BTreeMap<String, i64> {
        let fields = value.as_object().into_iter().flatten();
        fields.filter_map(|(name, value)| Some((name.clone(), value.as_i64()?))).collect()
    };
    let waiters = document["waiters"].as_array().into_iter().flatten();
    let total = numbers(&document);
    Report {
        answer: total["answer"],
        waiters: waiters
            .map(|waiter| (waiter["name"].as_str().unwrap_or_default().to_owned(), numbers(waiter)))
            .collect(),
        total,
    }
}

impl Report {
    /// Asserts that every thread has gone on since `earlier`, and that none has ever seen what it must not.
    #[track_caller]
    fn assert_undisturbed(&self, earlier: &Report) {
        assert_eq!(self.total["odd"], 0, "results of answer() that neither version has");
        assert_eq!(self.total["off_stack"], 0, "the handler did not run on its own stack");
        for count in ["calls", "churned"] {
            assert!(self.total[count] > earlier.total[count], "{count} stands still");
        }
        // A tick may be on its way.
        let missing = self.total["ticking_us"] / 1000 - self.total["ticks"];
        assert!((-2..=20).contains(&missing), "{missing} timer signals are missing: {:?}", self.total);
        assert!(self.waiters.len() > 20, "{self:?}");
        for (name, waiter) in &self.waiters {
            assert_eq!(waiter["spurious"], 0, "{name}: EINTR without a signal: {waiter:?}");
            assert_eq!(waiter["wrong"], 0, "{name}: {waiter:?}");
            assert_eq!(waiter["early"], 0, "{name} ended before its time: {waiter:?}");
            let ends =
                |report: &Report| report.waiters[name]["returns"] + report.waiters[name]["interrupted"];
            assert!(ends(self) > ends(earlier), "{name} stands still: {waiter:?}");
        }
    }
}
