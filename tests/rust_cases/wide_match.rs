// changed: wide_match::kind
//! A `match` with a table of jumps, and one with a table of strings.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

#[inline(never)]
fn kind(n: usize) -> usize {
    match n % 8 {
        0 => n * 3,
        1 => black_box(n) + 17,
        2 => n ^ 0x55,
        3 => black_box(n * n),
        4 => if cfg!(new) { 4444 } else { 4 },
        5 => n << 4,
        6 => black_box(77),
        _ => n,
    }
}

#[inline(never)]
fn name(n: usize) -> &'static str {
    match n % 8 {
        0 => "nought",
        1 => "one",
        2 => "two",
        3 => "three",
        4 => "four",
        5 => "fiver",
        6 => "six",
        _ => "many",
    }
}

#[inline(never)]
fn step(n: usize) {
    print!("{} {}", kind(black_box(n)), name(black_box(n)));
}

fn main() {
    case::run(step);
}
