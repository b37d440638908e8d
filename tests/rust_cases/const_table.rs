// changed: const_table::weight
//! An element of a table without a name changes.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

#[inline(never)]
fn weight(n: usize) -> u32 {
    let table: &[u32; 8] = if cfg!(new) { &[1, 2, 4, 8, 16, 33, 64, 128] } else { &[1, 2, 4, 8, 16, 32, 64, 128] };
    black_box(table)[n & 7]
}

#[inline(never)]
fn step(n: usize) {
    print!("{}", weight(n));
}

fn main() {
    case::run(step);
}
