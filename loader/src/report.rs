//! What commands report: the JSON documents of the command-line contract, and their lines for people.

use crate::error::{LoaderError, Severity};
use crate::presence::Presence;
use crate::record::Record;
use crate::redirect::PatchState;
use crate::transition::Pause;
use serde::Serialize;
use std::fmt;

/// What came of an operation on one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The patch is applied now.
    Applied,
    /// It was applied already.
    Already,
    /// It is reverted now.
    Reverted,
    /// It was not applied.
    Absent,
    /// Not safe now.
    Busy,
    /// Not safe.
    Refused,
    /// Did not work.
    Failed,
}

impl Outcome {
    /// Exit status of a command that did only this.
    pub fn exit_code(self) -> u8 {
        match self {
            Outcome::Applied | Outcome::Already | Outcome::Reverted | Outcome::Absent => 0,
            Outcome::Failed => 1,
            Outcome::Busy | Outcome::Refused => 4,
        }
    }
}

/// Exit status of a command that did several things: the worst in the order 1, 4, 0.
pub fn exit_code(outcomes: impl IntoIterator<Item = Outcome>) -> u8 {
    let badness = |code: &u8| match code {
        1 => 2,
        4 => 1,
        _ => 0,
    };
    outcomes.into_iter().map(Outcome::exit_code).max_by_key(badness).unwrap_or(0)
}

/// One process in the report of apply and revert.
#[derive(Clone, Debug, Serialize)]
pub struct OperationResult {
    /// The process.
    pub pid: i32,
    /// What came of it.
    pub outcome: Outcome,
    /// Why not, in one line.
    pub reason: Option<String>,
    /// Nothing was changed, it was only tried out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// How many threads were stopped.
    pub threads: usize,
    /// How many functions were redirected or restored.
    pub functions: usize,
    /// From the first request to stop until the last thread was let go, in microseconds.
    pub stop_us_total: u64,
    /// The longest that a single thread was affected.
    pub stop_us_max_thread: u64,
    /// From the first to the last written byte of text.
    pub transition_us: u64,
    /// How long one thread was stopped beforehand to map memory.
    pub injection_us: u64,
    /// How often the threads had to be stopped until the check passed.
    pub attempts: u32,
}

/// What an operation that changed something cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Effort {
    /// Functions redirected or restored.
    pub functions: usize,
    /// Stop of the threads.
    pub pause: Pause,
    /// How long one thread was stopped to map memory.
    pub injection: std::time::Duration,
}

impl OperationResult {
    /// The report of an operation.
    pub fn of(pid: i32, result: crate::error::Result<(Outcome, Effort)>) -> Self {
        match result {
            Ok((outcome, effort)) => OperationResult::done(pid, outcome, &effort),
            Err(error) => OperationResult::not_done(pid, &error),
        }
    }

    fn done(pid: i32, outcome: Outcome, effort: &Effort) -> Self {
        OperationResult {
            pid,
            outcome,
            reason: None,
            dry_run: false,
            threads: effort.pause.stop.threads,
            functions: effort.functions,
            stop_us_total: effort.pause.stop.total.as_micros() as u64,
            stop_us_max_thread: effort.pause.stop.max_thread.as_micros() as u64,
            transition_us: effort.pause.transition.as_micros() as u64,
            injection_us: effort.injection.as_micros() as u64,
            attempts: effort.pause.attempts,
        }
    }

    /// The report of an operation that did not come to its end.
    pub fn not_done(pid: i32, error: &LoaderError) -> Self {
        let outcome = match error.severity() {
            Severity::Busy => Outcome::Busy,
            Severity::Refused => Outcome::Refused,
            Severity::Failed | Severity::Input => Outcome::Failed,
        };
        let reason = Some(error.to_string());
        OperationResult { reason, ..OperationResult::done(pid, outcome, &Effort::default()) }
    }
}

impl fmt::Display for OperationResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}: ", self.pid)?;
        match (self.outcome, &self.reason) {
            (Outcome::Applied | Outcome::Reverted, _) => {
                let done = match self.outcome {
                    Outcome::Applied if self.dry_run => "would apply",
                    Outcome::Applied => "applied",
                    _ => "reverted",
                };
                let plural = |count: usize| if count == 1 { "" } else { "s" };
                write!(f, "{done}, {} function{}", self.functions, plural(self.functions))?;
                if self.attempts > 0 {
                    let (threads, pause) = (self.threads, self.stop_us_total);
                    write!(f, ", {threads} thread{} stopped for {pause} us", plural(threads))?;
                }
                Ok(())
            }
            (Outcome::Already, _) => write!(f, "already applied"),
            (Outcome::Absent, _) => write!(f, "not applied"),
            (Outcome::Busy, Some(reason)) => write!(f, "busy: {reason}"),
            (Outcome::Refused, Some(reason)) => write!(f, "refused: {reason}"),
            (_, reason) => write!(f, "failed: {}", reason.as_deref().unwrap_or("unknown reason")),
        }
    }
}

/// Report of apply and revert.
#[derive(Clone, Debug, Serialize)]
pub struct OperationReport {
    /// `tardigrade.apply/1` or `tardigrade.revert/1`.
    pub schema: &'static str,
    /// ID of the patch, as far as it is known.
    pub patch: String,
    /// Nothing was changed, it was only tried out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// One entry for each process.
    pub results: Vec<OperationResult>,
}

/// A redirected function in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedFunction {
    /// Symbol name.
    pub name: String,
    /// Where calls arrive.
    pub old_address: String,
    /// Where they are redirected to.
    pub new_address: String,
}

/// A patch in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedPatch {
    /// The first 16 hex digits of its ID.
    pub id: String,
    /// Path of its image.
    pub image: String,
    /// Build ID of its image.
    pub build_id: String,
    /// What its redirects amount to.
    pub state: PatchState,
    /// The functions.
    pub functions: Vec<ListedFunction>,
    /// When it was applied last, RFC 3339; None if it never was: then only its payload is there.
    pub applied_at: Option<String>,
    /// Its image was unloaded from the process since.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unloaded: bool,
    /// What something else wrote over the entries of its functions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<ListedForeign>,
}

/// Bytes at a function's entry that are neither the target's nor the patch's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedForeign {
    /// Symbol name.
    pub function: String,
    /// Where they are.
    pub address: String,
    /// What they are.
    pub what: String,
}

impl ListedPatch {
    /// The entry for a record.
    pub fn new(record: &Record, image: String, presence: Presence) -> Self {
        let header = &record.header;
        let functions = record.table.functions.iter().map(|function| ListedFunction {
            name: function.name.clone(),
            old_address: function.old.first().map_or(function.site, |range| range.start).to_string(),
            new_address: function.new.to_string(),
        });
        let foreign = presence.foreign.into_iter().map(|foreign| ListedForeign {
            function: foreign.function,
            address: foreign.address.to_string(),
            what: foreign.what,
        });
        ListedPatch {
            id: header.patch.to_string(),
            image,
            build_id: header.build_id.to_string(),
            state: presence.state,
            functions: functions.collect(),
            applied_at: (header.applied_at != 0).then(|| rfc3339(header.applied_at)),
            unloaded: presence.unloaded,
            foreign: foreign.collect(),
        }
    }
}

/// A process in the list.
#[derive(Clone, Debug, Serialize)]
pub struct ListedProcess {
    /// The process.
    pub pid: i32,
    /// Its executable.
    pub exe: String,
    /// Its patches.
    pub patches: Vec<ListedPatch>,
}

/// Report of list.
#[derive(Clone, Debug, Serialize)]
pub struct ListReport {
    /// `tardigrade.list/1`.
    pub schema: &'static str,
    /// The processes that hold patches.
    pub processes: Vec<ListedProcess>,
    /// Live patches of the kernel.
    pub kernel: Vec<serde_json::Value>,
}

/// A process in the status report.
#[derive(Clone, Debug, Serialize)]
pub struct ProcessStatus {
    /// The process.
    pub pid: i32,
    /// Its executable.
    pub exe: String,
    /// Build ID of its executable.
    pub build_id: Option<String>,
    /// It has virtual machines of KVM.
    pub vmm: bool,
    /// Its patches.
    pub patches: Vec<ListedPatch>,
}

/// Report of status.
#[derive(Clone, Debug, Serialize)]
pub struct StatusReport {
    /// `tardigrade.status/1`.
    pub schema: &'static str,
    /// Virtual machine monitors, and processes with patches.
    pub processes: Vec<ProcessStatus>,
}

/// Seconds since 1970 as a date and time in UTC.
fn rfc3339(seconds: u64) -> String {
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Days are counted from 1 March of year 0, so that leap days end a year.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_735_689_599), "2024-12-31T23:59:59Z");
    }

    #[test]
    fn worst_outcome_decides() {
        assert_eq!(exit_code([Outcome::Applied, Outcome::Already]), 0);
        assert_eq!(exit_code([Outcome::Applied, Outcome::Busy]), 4);
        assert_eq!(exit_code([Outcome::Refused, Outcome::Failed, Outcome::Applied]), 1);
        assert_eq!(exit_code([]), 0);
    }
}
