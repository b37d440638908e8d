//! Runs every behaviour case in every configuration and prints the table of `docs/matrix.md`.
//!
//! `cargo run --release -p tardigrade-tests --example matrix [PART]`: only configurations whose name has `PART` in it.
//! What is wrong is told on standard error, and ends it with status 1.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tardigrade_tests::{Case, Configuration, Ending, RustCase, RustConfiguration};

/// What came out in one configuration.
#[derive(Debug, Default)]
struct Row {
    right: usize,
    unchanged: usize,
    refused: BTreeMap<String, usize>,
    busy: usize,
    wrong: Vec<String>,
}

impl Row {
    fn add(&mut self, case: &str, ending: Result<Ending, String>) {
        match ending {
            Ok(Ending::Right) => self.right += 1,
            Ok(Ending::Unchanged) => self.unchanged += 1,
            Ok(Ending::Refused(kinds)) => {
                let kinds = kinds.into_iter().collect::<Vec<_>>().join(" + ");
                *self.refused.entry(kinds).or_default() += 1;
            }
            Ok(Ending::Busy(_)) => self.busy += 1,
            Err(_) => self.wrong.push(case.to_owned()),
        }
    }

    fn print(&self, name: &str) {
        let refused: usize = self.refused.values().sum();
        let kinds: Vec<String> = self.refused.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        let wrong = if self.wrong.is_empty() { "0".to_owned() } else { self.wrong.join(", ") };
        println!(
            "| {name} | {} | {} | {refused}: {} | {} | {wrong} |",
            self.right,
            self.unchanged,
            kinds.join(", "),
            self.busy
        );
    }
}

fn main() -> ExitCode {
    let part = std::env::args().nth(1).unwrap_or_default();
    let cases = Case::all();
    let configurations: Vec<Configuration> = Configuration::matrix()
        .into_iter()
        .filter(|configuration| configuration.to_string().contains(&part))
        .collect();
    println!("| configuration | patched and right | unchanged | refused | busy | wrong |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut wrong = 0;
    let mut print = |name: String, row: Row| {
        row.print(&name);
        wrong += row.wrong.len();
    };
    for configuration in &configurations {
        let fitting: Vec<&Case> = cases.iter().filter(|case| case.fits(configuration)).collect();
        let names: Vec<&str> = fitting.iter().map(|case| case.name.as_str()).collect();
        let run = |index: usize| fitting[index].run(configuration, false);
        print(configuration.to_string(), row(&names, configuration, &run));
    }
    let cases = RustCase::all();
    for configuration in RustConfiguration::matrix() {
        if configuration.to_string().contains(&part) {
            let names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
            let run = |index: usize| cases[index].run(&configuration, false);
            print(configuration.to_string(), row(&names, &configuration, &run));
        }
    }
    ExitCode::from(u8::from(wrong > 0))
}

/// Runs all cases in one configuration, as many at a time as there are processors.
fn row(names: &[&str], configuration: &dyn std::fmt::Display, run: &(dyn Fn(usize) -> Ending + Sync)) -> Row {
    let (next, row) = (AtomicUsize::new(0), Mutex::new(Row::default()));
    let configuration = configuration.to_string();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(name) = names.get(index) else { break };
                    let ending = catch_unwind(AssertUnwindSafe(|| run(index)));
                    // The panic has been printed by then.
                    let ending = ending.map_err(|_| {
                        eprintln!("wrong: {name} in {configuration}");
                        (*name).to_owned()
                    });
                    if let Ok(Ending::Busy(reason)) = &ending {
                        eprintln!("busy: {name} in {configuration}: {reason}");
                    }
                    row.lock().expect("no thread panics with the lock").add(name, ending);
                }
            });
        }
    });
    row.into_inner().expect("no thread panics with the lock")
}
