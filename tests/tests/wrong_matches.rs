//! Functions and variables that are easy to take for one another.

use patchgen::report::{Outcome, RefusalKind};
use tardigrade_tests::{Built, Expect as _, Pair, golden};

/// One of several files of the same name, each with its own state behind a function of the same name and body.
fn unit(letter: char) -> String {
    format!(
        "static int total;
         static __attribute__((noinline)) int bump(int k) {{ total += k; __asm__ volatile(\"\" ::: \"memory\"); return total; }}
         int get_{letter}(int k) {{ return bump(k) + 1; }}"
    )
}

fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect()
}

fn build(old: &[char], new: &[char]) -> Built {
    let files = |letters: &[char], number: u32| -> Vec<(String, String)> {
        let calls: Vec<String> = letters.iter().map(|letter| format!("get_{letter}(c)")).collect();
        let main = format!(
            "__attribute__((noinline)) int fixed(int k) {{ return k * 3 + {number}; }}
             int main(int c, char **v) {{ return fixed(c) + {}; }}",
            calls.join(" + ")
        );
        let units = letters.iter().map(|letter| (format!("{letter}/unit.c"), unit(*letter)));
        units.chain([("main.c".to_owned(), main)]).collect()
    };
    Pair::files(&borrowed(&files(old, 77)), &borrowed(&files(new, 78))).debug_info().build()
}

#[test]
fn files_of_one_name_in_another_link_order() {
    let diff = build(&['a', 'b'], &['b', 'a']).diff();
    if diff.patch.is_some() {
        let text = golden(&diff);
        assert!(
            !text.contains("\nget_a:") && !text.contains("\nget_b:"),
            "each leads to the other's state:\n{text}"
        );
    }
}

#[test]
fn a_new_file_of_the_same_name_comes_first() {
    let diff = build(&['a', 'b'], &['c', 'a', 'b']).diff();
    if diff.patch.is_some() {
        let text = golden(&diff);
        assert!(!text.contains("\nget_a:"), "leads to another file's state:\n{text}");
        let calls_target = text
            .split("\nget_c:")
            .nth(1)
            .is_some_and(|code| code.lines().take(3).any(|l| l.contains("<target:bump>")));
        assert!(!calls_target, "the new file uses the old files' state:\n{text}");
    }
}

const LIMIT: &str = "static int limit = 3;
    __attribute__((noinline)) void set(int n) { limit = n; }
    __attribute__((noinline)) int get(int i) { return limit * 5 + i * 3; }
    int main(int c, char **v) { set(c); return get(c); }";

/// The variable is the same one: its live value must not be lost.
#[test]
fn variable_that_becomes_global() {
    let new = LIMIT.replace("static int limit", "int limit").replace("i * 3", "i * 7");
    let diff = Pair::c(LIMIT, &new).debug_info().build().diff();
    if diff.patch.is_some() {
        diff.patched(&["get"]);
        assert!(
            !golden(&diff).contains("<patch:limit>"),
            "a second variable with its own value:\n{}",
            golden(&diff)
        );
    }
}

/// A function that becomes global keeps its address: live data may hold it.
#[test]
fn function_that_becomes_global() {
    let old = "typedef int (*callback)(int); callback saved;
        static __attribute__((noinline)) int handler(int i) { return i * 3 + 77; }
        __attribute__((noinline)) void set(callback c) { saved = c; }
        int main(int c, char **v) { set(handler); return saved(c); }";
    let new = old.replace("static __attr", "__attr").replace("i * 3", "i * 7");
    let diff = Pair::c(old, &new).debug_info().build().diff();
    if diff.patch.is_some() {
        diff.patched(&["handler"]);
    }
}

/// A new variable at the address of `__TMC_END__` is not what the start files mean by that address: they have not
/// changed.
#[test]
fn new_variable_at_the_address_of_a_linker_symbol() {
    let new =
        COUNTS.replace("int main", &format!("{THIRD_COUNT}int main")).replace("f(c) +", "f(c) + h(c) +");
    let diff = Pair::c(COUNTS, &new).debug_info().build().diff();
    let start_file = diff.verdict.functions.iter().find(|f| f.source.as_deref() == Some("crtstuff.c"));
    assert!(start_file.is_none(), "{}", diff.verdict);
}

const COUNTS: &str =
    "__attribute__((noinline)) int f(int i) { static int count = 4; count += i; return count * 5 + 3; }
    __attribute__((noinline)) int g(int i) { static int count; count += i; return count * 9; }
    int main(int c, char **v) { return f(c) + g(c); }";

const THIRD_COUNT: &str =
    "__attribute__((noinline)) int h(int i) { static int count; count += i * 3; return count * 11; }\n";

/// The third one takes the number of the first: no function that existed may change for it.
#[test]
fn renumbered_static_locals() {
    let new = format!("{THIRD_COUNT}{COUNTS}").replace("f(c) +", "f(c) + h(c) +");
    let diff = Pair::c(COUNTS, &new).debug_info().build().diff();
    match diff.verdict.verdict {
        Outcome::Patchable => diff.patched(&["main"]),
        _ => diff.refused(RefusalKind::AmbiguousVariable, "count"),
    }
}
