// changed: recursion::depth
//! A recursive function.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

#[inline(never)]
fn depth(n: usize) -> usize {
    if n == 0 {
        return if cfg!(new) { 100 } else { 0 };
    }
    depth(black_box(n - 1)) + black_box(1)
}

#[inline(never)]
fn step(n: usize) {
    print!("{}", depth(n));
}

fn main() {
    case::run(step);
}
