// changed: duplicate_functions::first
// changed: duplicate_functions::step
// new: duplicate_functions::second
//! Two functions that are the same in the old build, of which the compiler keeps one; one of them changes.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

#[inline(never)]
fn first(n: usize) -> usize {
    if cfg!(new) { (n * 31) ^ (n << 3) } else { (n * 31) ^ (n << 2) }
}

#[inline(never)]
fn second(n: usize) -> usize {
    (n * 31) ^ (n << 2)
}

#[inline(never)]
fn step(n: usize) {
    print!("{} {}", first(black_box(n)), second(black_box(n)));
}

fn main() {
    case::run(step);
}
