//! Thread-local variables: in executables a plain number, in libraries a pair of GOT slots that all look alike.

use patchgen::report::{Outcome, RefusalKind};
use tardigrade_tests::{Expect as _, Form, Pair};

const EXECUTABLE: &str = "static __thread int first, second;
    __attribute__((noinline)) int get(int n) { return first * 7 + n; }
    __attribute__((noinline)) int set(int a, int b) { first = a; second = b; return 0; }
    int main(int c, char **v) { set(c, 2); return get(c); }";

#[test]
fn unchanged_layout_in_an_executable() {
    Pair::edit(EXECUTABLE, "* 7", "* 9").build().diff().patched(&["get"]);
    Pair::edit(EXECUTABLE, "* 7", "* 9").form(Form::FixedWithRelocations).build().diff().patched(&["get"]);
}

/// gcc may put the variables in another order for it: a refusal is as good.
#[test]
fn another_variable_in_an_executable() {
    let diff = Pair::edit(EXECUTABLE, "first * 7", "second * 7").build().diff();
    match diff.patch {
        Some(_) => diff.patched(&["get"]),
        None => diff.refused(RefusalKind::ThreadLocal, ""),
    }
}

/// A new variable moves the others: what the numbers mean is not certain any more.
#[test]
fn new_variable_in_an_executable() {
    let new = EXECUTABLE
        .replace("first, second;", "first, second, third;")
        .replace("first * 7", "third++ * 7")
        .replace("second = b;", "second = b; third = a;");
    Pair::c(EXECUTABLE, &new).build().diff().refused(RefusalKind::ThreadLocal, "");
}

/// Each variable has a pair of slots: the module, and its offset as a plain number that nothing relocates.
const LIBRARY: &str = "__attribute__((visibility(\"hidden\"))) __thread int third, fourth;
    int get_third(void) { return third; }
    int get_fourth(void) { return fourth; }
    int plain(int x) { return x * 7 + 1; }";

/// The offset beside the module tells the variables apart: each function must get its own variable.
#[test]
fn slots_of_a_library_lead_to_the_same_variable() {
    for name in ["third", "fourth"] {
        let built = Pair::edit(LIBRARY, "return x * 7 + 1", &format!("return {name} * 9 + x"))
            .form(Form::Shared)
            .build();
        let diff = built.diff();
        let Some(bytes) = &diff.patch else { continue };
        let patch = patchfile::Patch::parse(bytes).expect("a readable patch");
        let slot = patch.symbols.iter().find_map(|symbol| match symbol.place {
            patchfile::Place::Target(address) if symbol.name.ends_with("@got") => Some(address.0),
            _ => None,
        });
        let old = patchgen::image::ImageFile::read(&built.old, None).expect("readable");
        let old = patchgen::image::load(&old).expect("readable");
        let offset_at = |slot: u64| old.bytes(slot + 8..slot + 16).map(<[u8]>::to_vec);
        let wanted = old.tls.variables.iter().find(|variable| variable.name == name).expect("the variable");
        assert_eq!(
            slot.and_then(offset_at),
            Some(wanted.offset.to_le_bytes().to_vec()),
            "the slot of {name} is that of another variable:\n{}",
            diff.verdict
        );
    }
}

/// The code is the same byte for byte but for the slot.
#[test]
fn another_variable_in_a_library() {
    let diff = Pair::edit(LIBRARY, "return third;", "return fourth;").form(Form::Shared).build().diff();
    assert_ne!(diff.verdict.verdict, Outcome::Unchanged, "{}", diff.verdict);
}
