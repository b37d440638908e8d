// changed: new_format::step
//! What is printed has more pieces.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

#[inline(never)]
fn step(n: usize) {
    let (a, b) = black_box((n, n as f64 / 4.0));
    #[cfg(new)]
    print!("a is {a:>4}, b is {b:.3}, both {:?}", (a, "text"));
    #[cfg(not(new))]
    print!("a is {a}");
}

fn main() {
    case::run(step);
}
