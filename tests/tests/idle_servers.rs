//! Servers at rest: one thread, which sleeps until somebody wants something.

use std::sync::LazyLock;
use tardigrade_tests::Pair;
use tardigrade_tests::live::Fix;

static FIX: LazyLock<Fix> = LazyLock::new(|| {
    Fix::of(Pair::edit(include_str!("targets/server.c"), "* 3 + 1", "* 3 + 2").flags(&["-pthread"]))
});

/// poll(2) without a timeout continues from a restart block; it is made again, and the program does not notice.
#[test]
fn only_thread_sleeps_in_poll() {
    let mut live = FIX.start(&[]);
    for (operation, outcome, answer) in
        [("apply", "applied", 2), ("revert", "reverted", 1), ("apply", "applied", 2)]
    {
        FIX.succeeds(operation, live.pid(), outcome);
        assert_eq!(live.number("a"), answer);
    }
    assert_eq!(live.ask("w"), "4 0");
    live.quit();
}

/// The C library keeps the stacks of joined threads, with return addresses that nobody returns to.
#[test]
fn stack_of_a_joined_thread() {
    let mut live = FIX.start(&[]);
    assert_eq!(live.number("s"), 2);
    FIX.succeeds("apply", live.pid(), "applied");
    assert_eq!(live.number("s"), 3);
    FIX.succeeds("revert", live.pid(), "reverted");
    assert_eq!(live.number("s"), 2);
    live.quit();
}
