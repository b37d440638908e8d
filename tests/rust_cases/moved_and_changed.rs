// changed: moved_and_changed::scale
// line-only: moved_and_changed::step
//! A fix of three lines, and places behind it that may panic.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

#[inline(never)]
fn scale(values: &[usize], at: usize) -> usize {
    //new:    if at == 2 {
    //new:        return 0;
    //new:    }
    values[at] * 2
}

#[inline(never)]
fn step(n: usize) {
    let at = black_box([0, 1, 2])[black_box(n % 3)];
    print!("{}", scale(black_box(&[1, 2, 3, 4]), at));
}

fn main() {
    case::run(step);
}
