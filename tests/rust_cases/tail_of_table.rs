// changed: tail_of_table::head
// changed: tail_of_table::tail
//! A table is referred to by its start and by its middle, and changes behind that.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

const TABLE: &[u32; 6] = if cfg!(new) { &[11, 12, 13, 14, 15, 99] } else { &[11, 12, 13, 14, 15, 16] };

#[inline(never)]
fn head(n: usize) -> u32 {
    black_box(TABLE)[n % 6]
}

#[inline(never)]
fn tail(n: usize) -> u32 {
    let rest: &[u32] = &TABLE[3..];
    black_box(rest)[n % 3]
}

#[inline(never)]
fn step(n: usize) {
    print!("{} {}", head(n + 3), tail(n));
}

fn main() {
    case::run(step);
}
