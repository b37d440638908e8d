// changed: generic_one_instance::one
//! One of many instances of a generic function is used by the function that changes, the others are as they were.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

#[inline(never)]
fn last<T: Copy>(values: &[T]) -> T {
    values[values.len() - 1]
}

#[inline(never)]
fn one(n: usize) -> u64 {
    let values = [n as u64, 2, 3];
    #[cfg(new)]
    return last(black_box(&values)) + 1;
    #[cfg(not(new))]
    last(black_box(&values))
}

#[inline(never)]
fn step(n: usize) {
    let (a, b, c) = (last(black_box(&[1_u8, n as u8])), last(black_box(&[1_u16, 2])), last(black_box(&[1_u32, 9])));
    print!("{} {a} {b} {c}", one(n));
}

fn main() {
    case::run(step);
}
