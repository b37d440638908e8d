// changed: iterators::report
//! Chains of iterators, sorting, and slices.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

#[inline(never)]
fn report(n: usize) -> String {
    let mut values: Vec<usize> = (0..8).map(|value| (value * 37 + n * 11) % 17).collect();
    if cfg!(new) {
        values.sort_unstable_by(|a, b| b.cmp(a));
    } else {
        values.sort_unstable();
    }
    values.chunks(3).map(|chunk| chunk.iter().sum::<usize>().to_string()).collect::<Vec<_>>().join("/")
}

#[inline(never)]
fn step(n: usize) {
    print!("{}", report(black_box(n)));
}

fn main() {
    case::run(step);
}
