// changed: boxed_closures::scale
//! Closures in boxes, made before the patch, go on.

#[path = "case.rs"]
mod case;

use std::hint::black_box;
use std::sync::Mutex;

static CALLBACKS: Mutex<Vec<Box<dyn Fn(usize) -> usize + Send>>> = Mutex::new(Vec::new());

#[inline(never)]
fn scale(n: usize) -> usize {
    if cfg!(new) { n * 10 } else { n * 2 }
}

#[inline(never)]
fn step(n: usize) {
    let mut callbacks = CALLBACKS.lock().unwrap();
    callbacks.push(Box::new(move |m| scale(black_box(n)) + m));
    for callback in black_box(&*callbacks) {
        print!("{} ", callback(n));
    }
}

fn main() {
    case::run(step);
}
