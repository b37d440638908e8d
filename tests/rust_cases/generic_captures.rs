// changed: generic_captures::apply
// changed: generic_captures::apply
// changed: generic_captures::step
// refused: type-layout closure_env
//! Two instances of a generic function, for a closure that holds more: they are told apart by their types.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

trait Kind {
    const BY: usize;
}

struct Small;

struct Large;

impl Kind for Small {
    const BY: usize = 3;
}

impl Kind for Large {
    const BY: usize = 1000;
}

#[inline(never)]
fn apply<F: Fn(usize) -> usize, K: Kind>(f: F, n: usize) -> usize {
    black_box(f(n)) * K::BY + black_box(n)
}

#[inline(never)]
fn step(n: usize) {
    let (a, b) = (black_box(n), black_box(n + 1));
    #[cfg(not(new))]
    let f = move |x: usize| black_box(x) + black_box(a);
    #[cfg(new)]
    let f = move |x: usize| black_box(x) + black_box(a) + black_box(b);
    let small = apply::<_, Small>(black_box(f), n);
    print!("{small} {}", apply::<_, Large>(black_box(f), b));
}

fn main() {
    case::run(step);
}
