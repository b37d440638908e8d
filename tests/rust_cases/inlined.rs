// changed: inlined::first
// changed: inlined::second
//! The function that is edited is inlined into two others.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

#[inline(always)]
fn limit(n: usize) -> usize {
    if cfg!(new) { n.min(3) } else { n.min(5) }
}

#[inline(never)]
fn first(n: usize) -> usize {
    limit(n) * 2
}

#[inline(never)]
fn second(n: usize) -> usize {
    limit(n + 1) + 100
}

#[inline(never)]
fn step(n: usize) {
    print!("{} {}", first(black_box(n)), second(black_box(n)));
}

fn main() {
    case::run(step);
}
