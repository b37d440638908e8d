// changed: new_panic::divide
//! A function that may panic at a new place.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

#[inline(never)]
fn divide(n: usize, by: usize) -> usize {
    #[cfg(new)]
    assert!(by < 100, "by is {by}, which is too large for {n}");
    if by == 0 { 0 } else { n * 100 / (by + cfg!(new) as usize) }
}

#[inline(never)]
fn step(n: usize) {
    print!("{}", divide(black_box(n), black_box(n / 2)));
}

fn main() {
    case::run(step);
}
