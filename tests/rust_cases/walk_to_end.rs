// changed: walk_to_end::sum
//! A loop over a table without a name goes from its start to its end.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

#[inline(never)]
fn sum(n: u32) -> u32 {
    let table = [3_u32, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3];
    let mut sum = if cfg!(new) { 1000 } else { 0 };
    for value in black_box(&table) {
        if *value > n {
            sum += value;
        }
    }
    sum
}

#[inline(never)]
fn words(n: usize) -> usize {
    ["a", "bc", "def", "ghij"].iter().filter(|word| word.len() > n).count()
}

#[inline(never)]
fn step(n: usize) {
    print!("{} {}", sum(n as u32), words(n));
}

fn main() {
    case::run(step);
}
