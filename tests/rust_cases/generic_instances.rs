// changed: generic_instances::total
// changed: generic_instances::total
//! A generic function: all of its instances change, which have one name.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

#[inline(never)]
fn total<T: Copy + Into<u64>>(values: &[T]) -> u64 {
    let mut sum = 0;
    for value in values {
        let value: u64 = (*value).into();
        #[cfg(new)]
        if value == 13 {
            continue;
        }
        sum += value;
    }
    sum
}

#[inline(never)]
fn step(n: usize) {
    let (small, large) = ([n as u8, 13, 5], [n as u32, 13, 7]);
    print!("{} {}", total(black_box(&small)), total(black_box(&large)));
}

fn main() {
    case::run(step);
}
