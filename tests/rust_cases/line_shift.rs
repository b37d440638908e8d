// line-only: line_shift::pick
// line-only: line_shift::step
// same-output:
//! An edit that only moves lines: panics tell of other ones.

#[path = "case.rs"]
mod case;

use std::hint::black_box;
//new:/// Not used.
//new:#[allow(dead_code)]
//new:const UNUSED: usize = 1;

#[inline(never)]
fn pick(values: &[usize], at: usize) -> usize {
    values[at]
}

#[inline(never)]
fn step(n: usize) {
    let value: Option<usize> = black_box(Some(pick(black_box(&[1, 2, 3, 4]), black_box(n % 4))));
    print!("{}", value.expect("a value"));
}

fn main() {
    case::run(step);
}
