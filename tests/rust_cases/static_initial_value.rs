// changed: static_initial_value::step
// refused: data-changed LIMIT
//! A live static has another initial value.

#[path = "case.rs"]
mod case;

use std::sync::atomic::{AtomicUsize, Ordering};

static LIMIT: AtomicUsize = AtomicUsize::new(if cfg!(new) { 5 } else { 4 });

#[inline(never)]
fn step(n: usize) {
    #[cfg(new)]
    print!("new ");
    LIMIT.fetch_add(n, Ordering::Relaxed);
    print!("{}", LIMIT.load(Ordering::Relaxed));
}

fn main() {
    case::run(step);
}
