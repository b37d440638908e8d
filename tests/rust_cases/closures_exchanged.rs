// changed: closures_exchanged::fill
// refused: ambiguous-function 18closures_exchanged4fill28_$u7b$$u7b$closure
// refused: ambiguous-function 18closures_exchanged4fill28_$u7b$$u7b$closure
// refused: ambiguous-function FnOnce40call_once
// refused: ambiguous-function FnOnce40call_once
//! Two stored closures that are each other in the new build: they changed places, or what they do.

#[path = "case.rs"]
mod case;

use std::hint::black_box;
use std::sync::Mutex;

static CALLBACKS: Mutex<Vec<Box<dyn Fn(usize) -> usize + Send>>> = Mutex::new(Vec::new());

#[inline(never)]
fn fill() {
    let mut callbacks = CALLBACKS.lock().unwrap();
    if callbacks.is_empty() {
        #[cfg(not(new))]
        callbacks.push(Box::new(|n| black_box(n) * 17));
        callbacks.push(Box::new(|n| black_box(n) * 23));
        #[cfg(new)]
        callbacks.push(Box::new(|n| black_box(n) * 17));
    }
}

#[inline(never)]
fn step(n: usize) {
    fill();
    for callback in black_box(&*CALLBACKS.lock().unwrap()) {
        print!("{} ", callback(n + 1));
    }
}

fn main() {
    case::run(step);
}
