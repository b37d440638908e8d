// changed: threads::work
//! Threads that call the function all the time.

#[path = "case.rs"]
mod case;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Once, mpsc};

static START: Once = Once::new();
static ROUNDS: AtomicUsize = AtomicUsize::new(0);

#[inline(never)]
fn work(n: usize) -> usize {
    ROUNDS.fetch_add(1, Ordering::Relaxed);
    if cfg!(new) { n + 1000 } else { n }
}

#[inline(never)]
fn step(n: usize) {
    START.call_once(|| {
        for _ in 0..4 {
            std::thread::spawn(|| {
                loop {
                    std::hint::black_box(work(1));
                    std::thread::yield_now();
                }
            });
        }
    });
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(work(n)));
    let before = ROUNDS.load(Ordering::Relaxed);
    while ROUNDS.load(Ordering::Relaxed) < before + 10 {
        std::thread::yield_now();
    }
    print!("{}", receive.recv().unwrap());
}

fn main() {
    case::run(step);
}
