// changed: changed_str::name
//! A string changes, its length stays.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

#[inline(never)]
fn name(n: usize) -> &'static str {
    match n % 3 {
        0 => "zero",
        1 => if cfg!(new) { "ONE!" } else { "one." },
        _ => "other",
    }
}

#[inline(never)]
fn step(n: usize) {
    print!("{}", name(black_box(n)));
}

fn main() {
    case::run(step);
}
