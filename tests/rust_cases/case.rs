//! What every case is: a program that does one step for each line that it reads, and prints one line for it.

use std::io::{BufRead, Write};

/// Calls `step` for each number that is read. It is on the stack for as long as the program runs, so it must not be
/// part of any patch.
#[inline(never)]
pub fn run(step: fn(usize)) {
    println!("ready");
    std::io::stdout().flush().unwrap();
    let mut line = String::new();
    while std::io::stdin().lock().read_line(&mut line).unwrap() > 0 {
        std::hint::black_box(step)(line.trim().parse().unwrap());
        println!();
        std::io::stdout().flush().unwrap();
        line.clear();
    }
}
