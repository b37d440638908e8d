// changed: new_static::step
// lines: 0 | 0 | 1 | 2 | 0 | 0 | 3 | 4
//! A new static variable begins with its initial value, and keeps what it has over a revert.

#[path = "case.rs"]
mod case;

#[cfg(new)]
use std::sync::atomic::{AtomicUsize, Ordering};

#[cfg(new)]
static CALLS: AtomicUsize = AtomicUsize::new(1);

#[inline(never)]
fn step(_: usize) {
    #[cfg(new)]
    print!("{}", CALLS.fetch_add(1, Ordering::Relaxed));
    #[cfg(not(new))]
    print!("0");
}

fn main() {
    case::run(step);
}
