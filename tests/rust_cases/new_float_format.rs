// changed: new_float_format::step
//! Floating-point numbers are formatted for the first time, with the library's tables.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

#[inline(never)]
fn step(n: usize) {
    if cfg!(new) {
        print!("{} {:.3}", black_box(n as f64) / 7.0, black_box(n as f64) / 3.0);
    } else {
        print!("{n}");
    }
}

fn main() {
    case::run(step);
}
