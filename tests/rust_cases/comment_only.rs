// same-output:
//! What stands behind everything else moves nothing.

#[path = "case.rs"]
mod case;

#[inline(never)]
fn step(n: usize) {
    print!("{}", n * 2);
}

#[cfg(new)]
#[allow(dead_code)]
fn never_called(n: usize) -> usize {
    n
}

fn main() {
    case::run(step);
}
