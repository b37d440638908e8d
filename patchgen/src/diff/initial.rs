//! Initial values of thread-local variables: those of the target stay, also for threads that begin later.

use super::{Matching, Pair, Sameness, data_pointers};
use crate::code::Program;
use std::ops::Range;

/// The variables of both builds that do not begin with the same value, or have another size, each with what is
/// different about it.
pub fn changed_thread_locals(pair: &Pair<'_, '_>, matching: &Matching) -> Vec<(String, String)> {
    let same = Sameness::strict(pair, matching);
    let mut found = Vec::new();
    for (old, new) in matching.thread_locals.pairs() {
        let detail = if old.size != new.size {
            Some(format!(
                "the thread-local variable changed its size from {} to {} bytes",
                old.size, new.size
            ))
        } else if same_contents(pair, &same, old.range(), new.range()) {
            None
        } else {
            Some(
                "the initial value of the thread-local variable changed, but threads have the target's, those to come \
                 too"
                    .to_owned(),
            )
        };
        found.extend(detail.map(|detail| (new.name.clone(), detail)));
    }
    let (olds, news) = (unnamed(pair.old), unnamed(pair.new));
    let same_layout = matching.thread_locals.same_layout();
    let same_unnamed = olds.len() == news.len()
        && olds.into_iter().zip(news).all(|(old, new)| {
            old.end - old.start == new.end - new.start && same_contents(pair, &same, old, new)
        });
    if !same_unnamed {
        let detail = if same_layout {
            "initial values of thread-local variables without a symbol are not the same"
        } else {
            "it holds initial values of variables without a symbol, and the layout is not the same in both builds"
        };
        found.push((".tdata".to_owned(), detail.to_owned()));
    }
    found.sort();
    found.dedup();
    found
}

/// Compares initial contents of the same length.
fn same_contents(pair: &Pair<'_, '_>, same: &Sameness<'_, '_, '_>, old: Range<u64>, new: Range<u64>) -> bool {
    let place = |program: &Program<'_>, range: &Range<u64>| {
        let tls = &program.image.tls;
        let addresses = tls.start.wrapping_add(range.start)..tls.start.wrapping_add(range.end);
        (range.end <= tls.filled && range.start < range.end).then_some(addresses)
    };
    let is_zero = |program: &Program<'_>, addresses: Range<u64>| {
        data_pointers(&program.image, addresses.clone()).is_empty()
            && program.image.bytes(addresses).is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0))
    };
    match (place(pair.old, &old), place(pair.new, &new)) {
        (Some(old), Some(new)) => same.data(old, new).is_ok(),
        (Some(old), None) => is_zero(pair.old, old),
        (None, Some(new)) => is_zero(pair.new, new),
        (None, None) => true,
    }
}

/// Places that have an initial value other than zero and belong to no variable: each run of bytes.
fn unnamed(program: &Program<'_>) -> Vec<Range<u64>> {
    let tls = &program.image.tls;
    let mut gaps = Vec::new();
    let mut from = 0;
    for variable in &tls.variables {
        gaps.push(from..variable.offset.min(tls.filled));
        from = from.max(variable.range().end);
    }
    gaps.push(from..tls.filled);
    gaps.retain(|gap| {
        let addresses = tls.start.wrapping_add(gap.start)..tls.start.wrapping_add(gap.end);
        gap.start < gap.end
            && (!data_pointers(&program.image, addresses.clone()).is_empty()
                || program.image.bytes(addresses).is_none_or(|bytes| bytes.iter().any(|byte| *byte != 0)))
    });
    gaps
}
