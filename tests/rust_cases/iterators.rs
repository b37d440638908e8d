// changed: iterators::report
// changed: core::slice::sort::shared::pivot::median3_rec
// changed: core::slice::sort::shared::smallsort::insertion_sort_shift_left
// changed: core::slice::sort::shared::smallsort::small_sort_network
// changed: core::slice::sort::unstable::heapsort::heapsort
// changed: core::slice::sort::unstable::ipnsort
// changed: core::slice::sort::unstable::quicksort::quicksort
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
