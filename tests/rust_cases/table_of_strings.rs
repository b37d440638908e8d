// changed: table_of_strings::word
//! A table of strings without a name, one of which changes.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

#[inline(never)]
fn word(n: usize) -> &'static str {
    let words: &[&str] = &["alpha", "beta", if cfg!(new) { "GAMMA" } else { "gamma" }, "delta"];
    black_box(words)[n & 3]
}

#[inline(never)]
fn step(n: usize) {
    print!("{}", word(n));
}

fn main() {
    case::run(step);
}
