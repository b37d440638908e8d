// changed: static_between::step
//! A new static between others, one of which is chosen: no address means the end of the one before.

#[path = "case.rs"]
mod case;

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

struct Value {
    shown: fn(usize) -> usize,
    text: &'static str,
    used: AtomicUsize,
}

fn plain(n: usize) -> usize {
    n
}

fn doubled(n: usize) -> usize {
    n * 2
}

#[cfg(new)]
static NONE: Value = Value { shown: plain, text: "none", used: AtomicUsize::new(0) };
static HOUR: Value = Value { shown: plain, text: "hour", used: AtomicUsize::new(10) };
static DAY: Value = Value { shown: doubled, text: "day", used: AtomicUsize::new(20) };
static YEAR: Value = Value { shown: plain, text: "year", used: AtomicUsize::new(30) };

#[inline(always)]
fn choose(n: usize) -> &'static Value {
    // What keeps the ways apart.
    let way = |value: &'static Value, number: usize| {
        black_box(number);
        value
    };
    match n % 5 {
        #[cfg(new)]
        4 => way(&NONE, 4),
        0 => way(&HOUR, 0),
        1 => way(&YEAR, 1),
        _ => way(&DAY, 2),
    }
}

#[inline(never)]
fn step(n: usize) {
    let value = choose(black_box(n));
    let used = value.used.load(Ordering::Relaxed);
    print!("{} {} {used}", (value.shown)(n), value.text);
}

fn main() {
    case::run(step);
}
