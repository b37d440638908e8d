//! Two patches of the same build, one after the other: together they must do what one patch of both fixes would.

use tardigrade_tests::live::{Fix, Live, compile_helper, refused};
use tardigrade_tests::{Form, Pair};

/// Prints what `step()` makes of each number that it reads.
const MAIN: &str = r#"
#include <stdio.h>
#include <stdlib.h>
int step(int n);
static int (*volatile next)(int) = step;
int main(void)
{
    char line[64];

    setvbuf(stdout, NULL, _IONBF, 0);
    puts("ready");
    while (fgets(line, sizeof line, stdin))
        printf("%d\n", next(atoi(line)));
    return 0;
}
"#;

/// `OPAQUE`: a value that the compiler saw is unknown to it from here on.
const COMMON: [&str; 2] = ["-DNOINLINE=__attribute__((noinline))", "-DOPAQUE(x)=__asm__(\"\" : \"+r\"(x))"];

/// The patches for two fixes of the same build: what stands under `#ifdef A`, and under `#ifdef B`.
#[track_caller]
fn fixes(files: &[(&str, &str)], flags: &[&str]) -> [Fix; 2] {
    let files: Vec<(&str, &str)> = files.iter().copied().chain([("main.c", MAIN)]).collect();
    let pair = || Pair::files(&files, &files).form(Form::Pie).flags(&COMMON).flags(flags);
    let first = Fix::of(pair().new_flags(&["-DA"]));
    let mut built = pair().flags(&["-pthread"]).new_flags(&["-DB"]).build();
    built.old.clone_from(&first.built.old);
    let second = Fix::between(built);
    [first, second]
}

/// Asserts that neither goes with the other, whichever comes first, and that each says why with `words` and leaves
/// the target as it is.
#[track_caller]
fn exclude_each_other(fixes: &[Fix; 2], words: &[&str]) {
    for [first, second] in [[0, 1], [1, 0]].map(|order| order.map(|index| &fixes[index])) {
        let mut live = first.start(&[]);
        let ids = [first, second].map(|fix| fix.id());
        let old = live.number("1");
        first.succeeds("apply", live.pid(), "applied");
        let new = live.number("1");
        for more in [&[][..], &["--dry-run"]] {
            let ran = live.unchanged_by(|pid| second.operate("apply", pid, more));
            refused(&ran, 4, &[&ids[0], &ids[1], &format!("revert {} first", ids[0]), "one patch of both"]);
            refused(&ran, 4, words);
        }
        assert_eq!(live.number("1"), new);
        // A patch that is not in force any more is in nobody's way; but it must not come back either.
        first.succeeds("revert", live.pid(), "reverted");
        assert_eq!(live.number("1"), old);
        second.succeeds("apply", live.pid(), "applied");
        let ran = live.unchanged_by(|pid| first.operate("apply", pid, &[]));
        refused(&ran, 4, &[&format!("revert {} first", ids[1])]);
        refused(&ran, 4, words);
        second.succeeds("revert", live.pid(), "reverted");
        first.succeeds("apply", live.pid(), "applied");
        assert_eq!(live.number("1"), new);
        live.quit();
    }
}

/// One gives a function another argument, the other calls it with the old ones.
#[test]
fn arguments_of_a_function() {
    const SOURCE: &str = "
static int state;
#ifdef A
static NOINLINE int f(int n, int m) { OPAQUE(n); state += n * m; return n * 1000 + m; }
#else
static NOINLINE int f(int n) { OPAQUE(n); state += n; return n * 1000; }
#endif
NOINLINE int g(int n)
{
    OPAQUE(n);
#ifdef A
    int m = 7;
    OPAQUE(m);
    return f(n, m);
#else
    return f(n);
#endif
}
NOINLINE int h(int n, int more)
{
    OPAQUE(n);
#ifdef B
    return f(n + 1) + 5;
#else
    return n;
#endif
}
";
    const STEP: &str = "int g(int n), h(int n, int more); int step(int n) { return g(n) + h(n, 12345); }";
    let fixes = fixes(&[("one.c", SOURCE), ("step.c", STEP)], &[]);
    exclude_each_other(&fixes, &["refers to f, which"]);
}

/// -fipa-ra: one keeps values in registers that the old function leaves alone, the other one's new function needs them.
const REGISTERS: &str = r#"
static NOINLINE int f(int n)
{
#ifdef A
    int a = n, b = n, c = n, d = n, e = n;
    OPAQUE(a); OPAQUE(b); OPAQUE(c); OPAQUE(d); OPAQUE(e);
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e));
    a *= 3; b += 7; c ^= 5; d -= 9; e *= 11;
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e));
    return a + b + c + d + e;
#else
    OPAQUE(n);
    return n * 3;
#endif
}
#ifdef BETWEEN
static NOINLINE int u(int n) { int r = f(n); OPAQUE(r); return r + 1; }
#else
#define u f
#endif
NOINLINE int g(int n) { OPAQUE(n); int r = u(n); OPAQUE(r); return r + 1; }
NOINLINE int h(int n, int x, int y, int z)
{
    OPAQUE(n);
#ifdef B
    return u(n) + x * y + z;
#else
    return n;
#endif
}
"#;
const REGISTERS_STEP: &str = "
int g(int n), h(int n, int x, int y, int z);
int step(int n) { return g(n) + h(n, n + 100, n + 10, n); }
";

#[test]
fn registers_of_a_function() {
    exclude_each_other(
        &fixes(&[("one.c", REGISTERS), ("step.c", REGISTERS_STEP)], &[]),
        &["refers to f, which"],
    );
}

/// The same through a function that neither patch changes nor replaces.
#[test]
fn registers_through_another_function() {
    let fixes = fixes(&[("one.c", REGISTERS), ("step.c", REGISTERS_STEP)], &["-DBETWEEN", "-g"]);
    assert!(fixes.iter().all(|fix| fix.patch.functions.iter().all(|function| function.name != "u")));
    exclude_each_other(&fixes, &["both have code of one.c"]);
}

/// The same with memory: in between is a function that wrote none, which callers were compiled for.
#[test]
fn memory_that_a_function_leaves_alone() {
    const SOURCE: &str = "
int counter;
static NOINLINE int f(int n)
{
#ifdef A
    counter++;
#endif
    OPAQUE(n);
    return n * 3;
}
static NOINLINE int u(int n) { return f(n) + 1; }
NOINLINE int g(int n) { return u(n) + counter; }
NOINLINE int h(int n)
{
#ifdef B
    int before = counter, r = u(n);
    return r + counter - before;
#else
    OPAQUE(n);
    return n;
#endif
}
";
    const STEP: &str = "
extern int counter;
int g(int n), h(int n);
int step(int n) { counter = 0; return g(n) * 100 + h(n); }
";
    let fixes = fixes(&[("one.c", SOURCE), ("step.c", STEP)], &["-g"]);
    exclude_each_other(&fixes, &["both have code of one.c"]);
}

/// Two files. `api` is called from the other one.
const API: &str = "
#ifdef A
NOINLINE int api(int n, int m) { OPAQUE(n); return n * 2 + m; }
#else
NOINLINE int api(int n) { OPAQUE(n); return n * 2; }
#endif
";
const USER: &str = "
#ifdef A
int api(int n, int m);
#else
int api(int n);
#endif
NOINLINE int g(int n)
{
#ifdef A
    return api(n, 5) + 1;
#else
    return api(n) + 1;
#endif
}
";
const OTHER: &str = "
int api(int n);
int g(int n);
NOINLINE int h(int n)
{
    OPAQUE(n);
#ifdef B
    return api(n) + 3;
#else
    return n;
#endif
}
int step(int n) { return g(n) * 100 + h(n); }
";

/// Nothing but the reference tells that these two do not go together: their code is of different files.
#[test]
fn reference_from_another_file() {
    let files = [("api.c", API), ("user.c", USER), ("other.c", OTHER)];
    exclude_each_other(&fixes(&files, &["-g"]), &["refers to api, which"]);
}

/// A library calls its own function through its PLT.
#[test]
fn reference_through_the_linkage_table() {
    const SOURCE: &str = "
#ifdef A
int f(int x) { return x * 3 + 2; }
#else
int f(int x) { return x * 3 + 1; }
#endif
int answer(int x) { return f(x) + 1; }
#ifdef B
int used(void) { return f(1) + 1; }
#else
int used(void) { return 7; }
#endif
";
    let [a, b] =
        ["-DA", "-DB"].map(|define| Fix::of(Pair::c(SOURCE, SOURCE).form(Form::Shared).new_flags(&[define])));
    let program = compile_helper(include_str!("targets/host.c"), a.built.directory.path(), "host");
    for (first, second) in [(&a, &b), (&b, &a)] {
        let mut live = Live::start(&program, &[&a.built.old.to_string_lossy()]);
        assert_eq!((live.number("o"), live.number("a"), live.number("u")), (1, 2, 7));
        first.succeeds("apply", live.pid(), "applied");
        let ran = live.unchanged_by(|pid| second.operate("apply", pid, &[]));
        refused(&ran, 4, &["refers to f, which", &first.id(), &second.id()]);
        live.quit();
    }
}

/// A fix in each of two files.
const LEFT: &str = "
int shared(int n);
#ifdef A
NOINLINE int left(int n) { OPAQUE(n); return shared(n) + 1; }
#else
NOINLINE int left(int n) { OPAQUE(n); return n; }
#endif
";
const RIGHT: &str = "
int left(int n), shared(int n);
#ifdef B
NOINLINE int right(int n) { OPAQUE(n); return shared(n) + 2; }
#else
NOINLINE int right(int n) { OPAQUE(n); return n; }
#endif
";
const STEP: &str = "
int left(int n), right(int n);
NOINLINE int shared(int n) { OPAQUE(n); return n * 3; }
int step(int n) { return left(n) * 100 + right(n); }
";

fn independent(flags: &[&str]) -> [Fix; 2] {
    fixes(&[("left.c", LEFT), ("right.c", RIGHT), ("step.c", STEP)], flags)
}

#[test]
fn independent_patches() {
    let [left, right] = independent(&["-g"]);
    let value = |live: &mut Live| live.number("1");
    for first_back in [&left, &right] {
        for order in [[&left, &right], [&right, &left]] {
            let mut live = left.start(&[]);
            let pid = live.pid();
            assert_eq!(value(&mut live), 101);
            for fix in order {
                fix.succeeds("apply", pid, "applied");
            }
            assert_eq!(value(&mut live), 405);
            for fix in order {
                fix.succeeds("apply", pid, "already");
            }
            first_back.succeeds("revert", pid, "reverted");
            assert_eq!(value(&mut live), if first_back.file == left.file { 105 } else { 401 });
            first_back.succeeds("apply", pid, "applied");
            first_back.succeeds("revert", pid, "reverted");
            for fix in [&left, &right] {
                fix.operate("revert", pid, &[]);
            }
            assert_eq!(value(&mut live), 101);
            live.quit();
        }
    }
}

/// Without debugging information nobody knows which files global functions are from.
#[test]
fn unknown_files() {
    exclude_each_other(&independent(&[]), &["not known with what"]);
}

/// One file includes the others.
#[test]
fn files_that_one_file_includes() {
    let unity = format!("#line 1 \"left.c\"\n{LEFT}\n#line 1 \"right.c\"\n{RIGHT}");
    let fixes = fixes(&[("unity.c", &unity), ("step.c", STEP)], &["-g"]);
    for (fix, file) in fixes.iter().zip(["left.c", "right.c"]) {
        let sources = fix.patch.functions.iter().map(|function| function.source.as_deref());
        assert!(sources.flatten().all(|source| source.ends_with(file)), "{:?}", fix.patch.functions);
    }
    exclude_each_other(&fixes, &["both have code of unity.c"]);
}

/// Code of a header belongs to the file that includes it.
#[test]
fn functions_of_headers() {
    let left = format!("#line 1 \"left.h\"\n{LEFT}");
    let fixes = fixes(&[("left.c", &left), ("right.c", RIGHT), ("step.c", STEP)], &["-g"]);
    let function = &fixes[0].patch.functions[0];
    assert_eq!((function.source.as_deref(), function.unit.as_deref()), (Some("left.h"), Some("left.c")));
    let mut live = fixes[0].start(&[]);
    for fix in &fixes {
        fix.succeeds("apply", live.pid(), "applied");
    }
    assert_eq!(live.number("1"), 405);
    live.quit();
}
