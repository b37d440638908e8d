// changed: closure_inserted::step
// new: closure_inserted::step::{{closure}}
//! A new closure takes the number of the one behind it.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

#[inline(never)]
fn apply(f: &dyn Fn(usize) -> usize, n: usize) -> usize {
    black_box(f)(n)
}

#[inline(never)]
fn step(n: usize) {
    #[cfg(new)]
    print!("{} ", apply(&|n| n * 100, n));
    print!("{} {}", apply(&|n| n + 1, n), apply(&|n| n ^ 5, n));
}

fn main() {
    case::run(step);
}
