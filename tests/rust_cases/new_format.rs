// changed: new_format::step
//! What is printed has more pieces.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

#[inline(never)]
fn step(n: usize) {
    let (a, b) = black_box((n, n * 1000));
    #[cfg(new)]
    print!("a is {a:>4}, b is {b:#010x}, both {:?}", (a, "text"));
    #[cfg(not(new))]
    print!("a is {a}");
}

fn main() {
    case::run(step);
}
