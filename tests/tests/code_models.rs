//! Code whose distances are plain numbers: nothing marks them, so a copy would keep the wrong ones.

use tardigrade_tests::{Expect as _, Pair};

const SOURCE: &str = "static char state[1000000]; int shared;
    __attribute__((noinline)) int change(int k) { state[k]++; shared += k; return state[k] * 3 + 7; }
    __attribute__((noinline)) int keep(int k) { return state[k] + shared; }
    int main(int c, char **v) { return change(c) + keep(c); }";

/// `movabs $state@GOTOFF, %rax` beside `lea _GLOBAL_OFFSET_TABLE_(%rip), %rdx`.
#[test]
fn medium() {
    let new = format!(
        "int more[50]; int get_more(int i) {{ return more[i]++; }} {}",
        SOURCE.replace("* 3 + 7", "* 5 + 7")
    );
    Pair::c(SOURCE, &new).flags(&["-mcmodel=medium"]).build().diff().not_patched();
}

/// `movabs $_GLOBAL_OFFSET_TABLE_-.L2, %r11` beside `lea .L2(%rip), %rdx`.
#[test]
fn large() {
    let new = format!(
        "int more[50]; int get_more(int i) {{ return more[i]++; }} {}",
        SOURCE.replace("* 3 + 7", "* 5 + 7")
    );
    Pair::c(SOURCE, &new).flags(&["-mcmodel=large"]).build().diff().not_patched();
}
