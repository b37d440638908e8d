// changed: aligned_static::step
//! A static that is aligned so much that the linker leaves a gap before it, where the start files' marks are.

#[path = "case.rs"]
mod case;

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

#[repr(align(128))]
struct Aligned(AtomicUsize);

static COUNT: Aligned = Aligned(AtomicUsize::new(1));

#[inline(never)]
fn step(n: usize) {
    let count = COUNT.0.fetch_add(1, Ordering::Relaxed);
    let words: &[&str] = if cfg!(new) { &["zero", "one", "two", "three", "four"] } else { &["none", "some"] };
    print!("{n} {count} {}", black_box(words)[n % words.len()]);
}

fn main() {
    case::run(step);
}
