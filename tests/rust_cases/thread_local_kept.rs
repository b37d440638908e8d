// changed: std::thread::local::LocalKey<T>::with
//! A thread-local variable keeps its value in each thread.

#[path = "case.rs"]
mod case;

use std::cell::Cell;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(3) };
}

#[inline(never)]
fn count(n: usize) -> usize {
    COUNT.with(|count| {
        count.set(count.get() + 1);
        if cfg!(new) { count.get() * 100 + n } else { count.get() }
    })
}

#[inline(never)]
fn step(n: usize) {
    print!("{}", count(n));
}

fn main() {
    case::run(step);
}
