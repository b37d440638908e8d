//! One place in the target that stands for two things of the replacement, or that is compared by its address.

use patchgen::report::RefusalKind;
use tardigrade_tests::{Expect as _, Form, Pair, golden};

/// Two names of one function become two functions: a redirect of the one would change the other for every caller that
/// the patch does not hold.
#[test]
fn alias_that_becomes_a_function() {
    let old = "int first(int x) { return x * 3 + 77; }
               int second(int x) __attribute__((alias(\"first\")));";
    let new = "int first(int x) { return x * 3 + 78; }
               int second(int x) { return x * 3 + 77; }";
    Pair::c(old, new).form(Form::Shared).build().diff().not_patched();
}

/// As a linker with `--icf` does it: a pointer to the second function that live data holds leads to the first.
#[test]
fn alias_that_becomes_a_function_and_is_stored() {
    let old = "__attribute__((noinline)) int first(int x) { return x * 3 + 77; }
        int second(int x) __attribute__((alias(\"first\")));
        int (*stored)(int);
        __attribute__((noinline)) void store(int c) { stored = c ? second : first; }
        int main(int c, char **v) { store(c); return stored(c); }";
    let new = old
        .replace(
            "int second(int x) __attribute__((alias(\"first\")));",
            "int second(int x) { return x * 3 + 77; }",
        )
        .replacen("77", "78", 1);
    Pair::c(old, &new).build().diff().not_patched();
}

/// The linker marks both ends of a section: the marks are those of the target's section, or the patch is wrong.
#[test]
fn new_member_of_a_linker_set() {
    let old = "struct command { const char *name; int (*run)(int); };
        extern const struct command __start_commands[], __stop_commands[];
        static int one(int x) { return x + 1; }
        __attribute__((section(\"commands\"), used)) static const struct command first = { \"one\", one };
        __attribute__((noinline)) int run(int x) { int s = 0;
            for (const struct command *c = __start_commands; c < __stop_commands; c++) s += c->run(x);
            return s; }
        int main(int c, char **v) { return run(c); }";
    let member = |place: &str| {
        let line = "static int two(int x) { return x + 2; }
            __attribute__((section(\"commands\"), used)) static const struct command other = { \"two\", two };\n";
        old.replace(place, &format!("{line}{place}"))
    };
    // Before the first one, and behind it.
    for place in ["static int one", "__attribute__((noinline))"] {
        Pair::c(old, &member(place)).build().diff().not_patched();
    }
}

/// The marks of an unchanged set are the target's.
#[test]
fn unchanged_linker_set() {
    let source = "extern const int __start_numbers[], __stop_numbers[];
        __attribute__((section(\"numbers\"), used)) static const int first = 11;
        __attribute__((section(\"numbers\"), used)) static const int second = 12;
        __attribute__((noinline)) int sum(int x) { for (const int *n = __start_numbers; n < __stop_numbers; n++) x += *n; return x + 1; }
        int main(int c, char **v) { return sum(c); }";
    let diff = Pair::edit(source, "return x + 1", "return x + 2").build().diff();
    if diff.patch.is_some() {
        diff.patched(&["sum"]);
        assert!(!golden(&diff).contains("<patch:first"), "{}", golden(&diff));
    }
}

/// The target's table lies in memory that nobody can write.
#[test]
fn constant_that_becomes_a_variable() {
    let old = "static const int table[4] = {1, 2, 3, 4};
        __attribute__((noinline)) int count(int x) { return table[x & 3] + 1; }
        int main(int c, char **v) { return count(c); }";
    let new =
        old.replace("static const", "static").replace("{ return table", "{ table[x & 3]++; return table");
    let diff = Pair::c(old, &new).build().diff();
    if diff.patch.is_some() {
        assert!(!golden(&diff).contains("<target:table>\n   7"), "writes to a constant:\n{}", golden(&diff));
        assert!(golden(&diff).contains("<patch:table>"), "writes to a constant:\n{}", golden(&diff));
    }
}

const OPERATIONS: &str = "#include <stdlib.h>
    struct operations { int (*read)(int); int limit; };
    static int read_one(int x) { return x + 1; }
    static const struct operations file_operations = { read_one, 4 };
    struct device { const struct operations *operations; int n; } *live;
    __attribute__((noinline)) void make(int n) { live = malloc(sizeof *live); live->operations = &file_operations; live->n = n; }
    __attribute__((noinline)) int is_file(struct device *d) { return d->operations == &file_operations; }
    int main(int c, char **v) { make(c); return is_file(live); }";

/// Live objects hold the address of the target's table: a second table is not equal to it, and does not reach them.
#[test]
fn changed_table_that_is_compared_by_address() {
    let diff = Pair::edit(OPERATIONS, "read_one, 4", "read_one, 8").debug_info().build().diff();
    diff.refused(RefusalKind::DataChanged, "file_operations");
}

/// It is stored, and read nowhere in the changed code: what exists already keeps the old one. That must be said.
#[test]
fn changed_table_whose_address_is_stored() {
    let source = OPERATIONS.replace("d->operations == &file_operations", "d->operations->limit");
    let diff = Pair::edit(&source, "read_one, 4", "read_one, 8").debug_info().build().diff();
    let said = diff.verdict.warnings.iter().any(|warning| warning.contains("file_operations"));
    assert!(diff.patch.is_none() || said, "{}", diff.verdict);
}
