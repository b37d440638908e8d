//! How long threads are stopped: apply and revert beside a bare SEIZE + INTERRUPT + wait + DETACH of the same
//! threads, in turns, in one run.
//!
//! `cargo bench -p loader --bench stop [-- ROUNDS]`

#[path = "../tests/support/mod.rs"]
mod support;

use loader::report::Outcome;
use nix::sys::ptrace;
use nix::unistd::Pid;
use std::time::{Duration, Instant};
use support::{Link, Victim, checked_patch, image, loaded};

const THREADS: [usize; 4] = [1, 16, 128, 512];
const ROUNDS: usize = 100;

/// Stops and releases all threads without doing anything in between.
fn bare_stop(pid: i32) -> Duration {
    let tids: Vec<Pid> = std::fs::read_dir(format!("/proc/{pid}/task"))
        .unwrap()
        .map(|entry| Pid::from_raw(entry.unwrap().file_name().to_str().unwrap().parse().unwrap()))
        .collect();
    for tid in &tids {
        ptrace::seize(*tid, ptrace::Options::PTRACE_O_TRACECLONE).unwrap();
    }
    let begin = Instant::now();
    for tid in &tids {
        ptrace::interrupt(*tid).unwrap();
    }
    for tid in &tids {
        nix::sys::wait::waitpid(*tid, Some(nix::sys::wait::WaitPidFlag::__WALL)).unwrap();
    }
    for tid in &tids {
        ptrace::detach(*tid, None).unwrap();
    }
    begin.elapsed()
}

/// Median and 99th percentile in microseconds.
fn percentiles(samples: &mut [Duration]) -> (f64, f64) {
    samples.sort_unstable();
    let at = |part: usize| samples[(samples.len() - 1) * part / 100].as_secs_f64() * 1e6;
    (at(50), at(99))
}

fn main() {
    let rounds = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(ROUNDS);
    let image = image(Link::Pie);
    let loaded = loaded(checked_patch(image));
    println!("stop of all threads in microseconds, {rounds} rounds, p50 / p99");
    println!(
        "{:>7}  {:>17}  {:>17}  {:>17}  ratio apply, revert (p50)",
        "threads", "bare", "apply", "revert"
    );
    for threads in THREADS {
        // Besides the first thread, which waits for input: few that run, most that wait.
        let running = (threads / 8).min(2);
        let (running, waiting) = (running.to_string(), (threads - 1 - running).to_string());
        let victim = Victim::start(image, &["paced", &running, "idle", &waiting]);
        let (mut bare, mut apply, mut revert) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..rounds + 5 {
            let before = bare_stop(victim.pid());
            std::thread::sleep(Duration::from_millis(2));
            let (outcome, applied) = victim.apply(&loaded).unwrap();
            assert_eq!(outcome, Outcome::Applied);
            assert_eq!(applied.pause.stop.threads, threads);
            std::thread::sleep(Duration::from_millis(2));
            let again = bare_stop(victim.pid());
            std::thread::sleep(Duration::from_millis(2));
            let (outcome, reverted) = victim.revert(&loaded).unwrap();
            assert_eq!(outcome, Outcome::Reverted);
            std::thread::sleep(Duration::from_millis(2));
            // The first rounds warm caches.
            if round >= 5 {
                bare.extend([before, again]);
                apply.push(applied.pause.stop.total);
                revert.push(reverted.pause.stop.total);
            }
        }
        let (bare, apply, revert) =
            (percentiles(&mut bare), percentiles(&mut apply), percentiles(&mut revert));
        let pair = |(median, high): (f64, f64)| format!("{median:.0} / {high:.0}");
        println!(
            "{threads:>7}  {:>17}  {:>17}  {:>17}  {:.2}, {:.2}",
            pair(bare),
            pair(apply),
            pair(revert),
            apply.0 / bare.0,
            revert.0 / bare.0
        );
        victim.quit();
    }
}
