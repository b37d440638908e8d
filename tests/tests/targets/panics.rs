//! A program whose function `answer` is passed by panics; `--cfg fixed` makes the new build.

use std::io::BufRead;
use std::panic;

#[inline(never)]
fn check(n: i64) -> i64 {
    assert!(n % 3 != 0, "a multiple of three: {n}");
    n
}

struct Guard<'a>(&'a mut i64);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        *self.0 += 1;
    }
}

#[inline(never)]
fn answer(n: i64, dropped: &mut i64) -> i64 {
    let guard = Guard(dropped);
    let found = check(n);
    drop(guard);
    if cfg!(fixed) { found * 10 } else { found }
}

fn main() {
    panic::set_hook(Box::new(|_| {}));
    println!("ready");
    let mut dropped = 0;
    for line in std::io::stdin().lock().lines() {
        let n: i64 = line.unwrap().parse().unwrap();
        let result = panic::catch_unwind(panic::AssertUnwindSafe(|| std::hint::black_box(answer as fn(i64, &mut i64) -> i64)(n, &mut dropped)));
        match result {
            Ok(found) => println!("{found} {dropped}"),
            Err(_) => println!("panic {dropped}"),
        }
    }
}
