// changed: statics_kept::count
//! Statics with interior mutability keep their values.

#[path = "case.rs"]
mod case;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, RwLock};

static COUNT: AtomicUsize = AtomicUsize::new(10);
static NAMES: Mutex<Vec<String>> = Mutex::new(Vec::new());
static LEVEL: RwLock<u32> = RwLock::new(7);
static ONCE: OnceLock<String> = OnceLock::new();

#[inline(never)]
fn count(n: usize) -> usize {
    NAMES.lock().unwrap().push(format!("n{n}"));
    *LEVEL.write().unwrap() += 1;
    let by = COUNT.fetch_add(1, Ordering::SeqCst);
    if cfg!(new) { by * 1000 } else { by }
}

#[inline(never)]
fn step(n: usize) {
    let once = ONCE.get_or_init(|| format!("first was {n}"));
    let count = count(n);
    print!("{count} {} {} {once}", NAMES.lock().unwrap().join(","), LEVEL.read().unwrap());
}

fn main() {
    case::run(step);
}
