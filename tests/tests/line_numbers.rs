//! Line numbers that became arguments are no change; numbers that only look like line numbers are one.

use patchgen::report::{ChangeKind, Outcome};
use patchgen::verdict::Options;
use tardigrade_tests::{Expect as _, Pair};

const ASSERT: &str = r"#include <assert.h>
    int limit = 7;

    __attribute__((noinline)) int checked(int n)
    {
        assert(n < limit);
        return n * 3;
    }
    int main(int c, char **v) { return checked(c); }";

/// A comment above moves the line that `assert` passes on.
#[test]
fn assertion_that_moved() {
    let moved = ASSERT.replace("int limit", "/* one\n * two\n */\nint limit");
    let diff = Pair::c(ASSERT, &moved).debug_info().build().diff();
    diff.unchanged();
    diff.has(ChangeKind::LineOnly, &["checked"]);
    assert_eq!(diff.verdict.coverage.line_only, 1);
}

/// Asked for, the assertion of the patch names the new line.
#[test]
fn line_only_functions_on_demand() {
    let moved = ASSERT.replace("int limit", "/* one\n * two\n */\nint limit");
    let built = Pair::c(ASSERT, &moved).debug_info().build();
    let diff = built.diff_with(Options { include_line_only: true });
    diff.patched(&["checked"]);
    assert_eq!(diff.verdict.coverage.line_only, 0);
    let checked = diff.verdict.functions.iter().find(|function| function.name == "checked");
    assert_eq!(checked.map(|function| function.reasons[0].as_str()), Some("line numbers"));
}

/// Without line tables nothing tells the number from any other.
#[test]
fn assertion_that_moved_without_debugging_information() {
    let moved = ASSERT.replace("int limit", "/* one\n * two\n */\nint limit");
    Pair::c(ASSERT, &moved).build().diff().patched(&["checked"]);
}

/// A changed condition is a change, wherever the line went.
#[test]
fn assertion_that_moved_and_changed() {
    let moved =
        ASSERT.replace("int limit", "/* one\n * two\n */\nint limit").replace("n < limit", "n <= limit");
    Pair::c(ASSERT, &moved).debug_info().build().diff().patched(&["checked"]);
}

/// A function in the middle of a short file, and an argument about as large as the numbers of its lines.
const LIMITS: &str = "extern int puts(const char *);
    volatile int state;
    __attribute__((noinline)) void set_limit(int kind, int limit)
    {
        state += kind * limit;
    }

    __attribute__((noinline)) int configure(int n)
    {
        set_limit(1, n);
        set_limit(2, 16);
        puts(\"configured\");
        return n;
    }
    int main(int c, char **v) { return configure(c); }";

/// No line moved: the number is no line number.
#[test]
fn number_close_to_its_line() {
    let diff = Pair::edit(LIMITS, "(2, 16)", "(2, 17)").debug_info().build().diff();
    assert_ne!(diff.verdict.verdict, Outcome::Unchanged, "{}", diff.verdict);
    diff.has(ChangeKind::Changed, &["configure"]);
}

/// A line moved by as much as the number: nobody else passes a line there.
#[test]
fn number_that_changes_by_as_much_as_its_line() {
    let new = LIMITS.replace("(2, 16)", "(2, 17)").replace("volatile", "\nvolatile");
    let diff = Pair::c(LIMITS, &new).debug_info().build().diff();
    assert_ne!(diff.verdict.verdict, Outcome::Unchanged, "{}", diff.verdict);
    diff.has(ChangeKind::Changed, &["configure"]);
}
