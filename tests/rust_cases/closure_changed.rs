// changed: closure_changed::step::{{closure}}
// changed: core::ops::function::FnOnce::call_once{{vtable.shim}}
//! One of two closures changes.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

#[inline(never)]
fn apply(f: &dyn Fn(usize) -> usize, n: usize) -> usize {
    black_box(f)(n)
}

#[inline(never)]
fn step(n: usize) {
    let other = |n: usize| if cfg!(new) { n * 7 } else { n * 3 };
    print!("{} {}", apply(&|n| n + 1, n), apply(&other, n));
}

fn main() {
    case::run(step);
}
