//! Why a function changed, told in terms of the source: what the reasons say, and what they must not say.

use patchgen::verdict::Diff;
use tardigrade_tests::{Expect as _, Pair};

const INCLUDED: &str = "extern int limit;
static inline __attribute__((always_inline)) int clamp(int x) {
    x *= 3;
    if (x > limit)
        return limit * 5;
    limit += x;
    limit ^= 77;
    return x;
}
static inline __attribute__((always_inline)) int twice(int x) {
    limit -= 9;
    return clamp(x) + 2;
}
";

const CODE: &str = "#include \"clamp.c\"
int limit = 7;
__attribute__((noinline)) int direct(int x) {
    limit++;
    limit ^= x;
    limit *= 11;
    limit |= 5;
    return clamp(x) + 1;
}
__attribute__((noinline)) int nested(int x) {
    limit--;
    return twice(x) + 4;
}
__attribute__((noinline)) int untouched(int x) {
    return x * limit;
}
int main(int c, char **v) { return direct(c) + nested(c) + untouched(c); }
";

fn pair(header: &str, code: &str) -> Pair {
    // What is included is compiled by itself too, as a unit without code.
    Pair::files(&[("clamp.c", INCLUDED), ("code.c", CODE)], &[("clamp.c", header), ("code.c", code)])
}

/// The verdict on an edit of the header and of the code.
fn edited(header: (&str, &str), code: (&str, &str)) -> Diff {
    assert!(INCLUDED.contains(header.0) && CODE.contains(code.0));
    pair(&INCLUDED.replace(header.0, header.1), &CODE.replace(code.0, code.1)).debug_info().build().diff()
}

fn reasons<'d>(diff: &'d Diff, function: &str) -> &'d [String] {
    let found = diff.verdict.functions.iter().find(|report| report.name == function);
    &found.unwrap_or_else(|| panic!("{function} is not reported:\n{}", diff.verdict)).reasons
}

#[track_caller]
fn says(diff: &Diff, function: &str, what: &str) {
    let found = reasons(diff, function).iter().any(|reason| reason == what);
    assert!(found, "{function} lacks \"{what}\":\n{}", diff.verdict);
}

#[track_caller]
fn does_not_say(diff: &Diff, function: &str, what: &str) {
    let found = reasons(diff, function).iter().any(|reason| reason.contains(what));
    assert!(!found, "{function} has \"{what}\":\n{}", diff.verdict);
}

#[test]
fn an_edited_function() {
    let diff = edited(("", ""), ("    limit++;\n", "    limit++;\n    if (x < 0)\n        return -1;\n"));
    diff.patched(&["direct"]);
    says(&diff, "direct", "its source in code.c was edited: 2 lines longer");
    does_not_say(&diff, "direct", "clamp.c was edited");
}

/// The functions that hold the code are not the one that was edited.
#[test]
fn an_edited_inline_function() {
    let diff = edited(("    x *= 3;\n", "    x *= 3;\n    if (x < 0)\n        x = limit;\n"), ("", ""));
    diff.patched(&["direct", "nested"]);
    says(&diff, "direct", "the source of `clamp` in clamp.c was edited, 2 lines longer; it is inlined here");
    says(
        &diff,
        "nested",
        "the source of `clamp` in clamp.c was edited, 2 lines longer; it is inlined here through `twice`",
    );
    for function in ["direct", "nested"] {
        does_not_say(&diff, function, "its source");
        does_not_say(&diff, function, "`twice` in");
    }
}

#[test]
fn a_shorter_inline_function() {
    let diff = edited(("    limit ^= 77;\n", ""), ("", ""));
    diff.patched(&["direct", "nested"]);
    for function in ["direct", "nested"] {
        does_not_say(&diff, function, "its source");
    }
}

/// All lines stay where they are: it is told where the differing instructions come from.
#[test]
fn an_edit_within_a_line() {
    let diff = edited(("77", "78"), ("", ""));
    diff.patched(&["direct", "nested"]);
    says(&diff, "direct", "all instructions that differ come from `clamp` in clamp.c, line 7, inlined here");
    says(
        &diff,
        "nested",
        "all instructions that differ come from `clamp` in clamp.c, line 7, inlined here through `twice`",
    );
    let diff = edited(("", ""), ("return x * limit", "return x + limit"));
    diff.patched(&["untouched"]);
    says(&diff, "untouched", "all instructions that differ come from code.c, line 15");
}

/// Lines in front of a function move it as a whole: that is no edit of it, and no change.
#[test]
fn lines_in_front() {
    let diff = edited(("extern int", "\n\n\nextern int"), ("int limit", "\n\n/* a comment */\nint limit"));
    diff.unchanged();
}

/// A comment in one function, a fix in another.
#[test]
fn only_the_changed_function_is_told() {
    let diff = edited(("", ""), ("    limit++;\n", "    /* longer */\n    limit++;\n    limit += x & 12;\n"));
    diff.patched(&["direct"]);
    says(&diff, "direct", "its source in code.c was edited: 2 lines longer");
}

#[test]
fn what_is_used_only_now() {
    let old = "#include <stdio.h>\n__attribute__((noinline)) int a(int x) { return x * 3; }
        __attribute__((noinline)) int b(int x) { return x * 5; }
        __attribute__((noipa)) int f(int x) { return a(x) + 1; }
        int main(int c, char **v) { return f(c) + a(c) + b(c) + puts(v[0]); }";
    let diff = Pair::edit(old, "a(x) + 1", "b(x) + puts(\"over the limit\") + 1").build().diff();
    diff.patched(&["f"]);
    says(&diff, "f", "uses only now: \"over the limit\", `b`, the import `puts`");
    says(&diff, "f", "no longer uses: `a`");
    does_not_say(&diff, "f", "edited");
}

/// Two long strings that begin alike: the difference is shown.
#[test]
fn strings_that_begin_alike() {
    let source = "#include <stdio.h>
        __attribute__((noinline)) int f(int x) { return puts(\"the device model refuses this request, number 17 of it\"); }
        int main(int c, char **v) { return f(c); }";
    let diff = Pair::edit(source, "number 17", "number 18").build().diff();
    diff.patched(&["f"]);
    let [reason] = reasons(&diff, "f") else { panic!("one reason:\n{}", diff.verdict) };
    assert!(reason.contains("number 18") && reason.contains("number 17"), "{reason}");
}

/// Without debugging information nothing is said of the source.
#[test]
fn nothing_is_guessed() {
    let header = INCLUDED.replace("    x *= 3;\n", "    x *= 3;\n    if (x < 0)\n        x = limit;\n");
    let diff = pair(&header, CODE).build().diff();
    diff.patched(&["direct", "nested"]);
    for function in ["direct", "nested"] {
        does_not_say(&diff, function, "source");
        does_not_say(&diff, function, "inlined");
    }
}
