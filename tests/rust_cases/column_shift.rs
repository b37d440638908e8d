// line-only: column_shift::pick
// same-output:
//! Only the column of a place that may panic moves.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

#[rustfmt::skip]
#[inline(never)]
fn pick(values: &[usize], at: usize) -> usize {
    #[cfg(not(new))] return values[at];
    #[cfg(new)] /* a remark */ return values[at];
}

#[inline(never)]
fn step(n: usize) {
    print!("{}", pick(black_box(&[1, 2, 3, 4]), n % 4));
}

fn main() {
    case::run(step);
}
