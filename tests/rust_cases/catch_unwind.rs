// flags: -Cpanic=unwind
// changed: catch_unwind::risky
//! A panic passes through the function that changes, and is caught.

#[path = "case.rs"]
mod case;

use std::hint::black_box;
use std::panic::catch_unwind;

struct Guard(usize);

impl Drop for Guard {
    #[inline(never)]
    fn drop(&mut self) {
        print!("drop {} ", self.0);
    }
}

#[inline(never)]
fn fail(n: usize) -> usize {
    if n % 2 == 1 {
        std::panic::resume_unwind(Box::new(n));
    }
    n
}

#[inline(never)]
fn risky(n: usize) -> usize {
    let guard = Guard(n);
    let value = fail(black_box(n)) + if cfg!(new) { 100 } else { 0 };
    black_box(&guard);
    value
}

#[inline(never)]
fn step(n: usize) {
    match catch_unwind(|| risky(black_box(n))) {
        Ok(value) => print!("{value}"),
        Err(payload) => print!("caught {:?}", payload.downcast_ref::<usize>()),
    }
}

fn main() {
    case::run(step);
}
