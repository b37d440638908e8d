// changed: const_generics::checksum
//! Instances of a function for several lengths of arrays; one of the callers has its own.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

#[inline(never)]
fn rotate<const N: usize>(mut values: [u8; N]) -> [u8; N] {
    values.rotate_left(N / 2);
    values
}

#[inline(never)]
fn checksum(n: u8) -> u32 {
    let values = rotate(black_box([n, 2, 3, 4, 5, 6]));
    values.iter().fold(if cfg!(new) { 7 } else { 1 }, |sum, value| sum * 3 + u32::from(*value))
}

#[inline(never)]
fn step(n: usize) {
    print!("{} {:?}", checksum(n as u8), rotate(black_box([n as u8, 9, 8, 7])));
}

fn main() {
    case::run(step);
}
