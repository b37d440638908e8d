// changed: floats::mix
//! Constants of floating-point code.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

#[inline(never)]
fn mix(n: f64) -> [f64; 4] {
    let by = if cfg!(new) { [0.25, 1.75, -2.5, 8.0] } else { [0.5, 1.5, -2.5, 4.0] };
    let mut out = [0.0; 4];
    for (out, by) in out.iter_mut().zip(by) {
        *out = n.mul_add(by, by) + 0.125;
    }
    out
}

#[inline(never)]
fn step(n: usize) {
    print!("{:?}", mix(black_box(n as f64)));
}

fn main() {
    case::run(step);
}
