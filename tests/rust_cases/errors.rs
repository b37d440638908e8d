// changed: errors::parse
//! Errors as values, with `?` and `dyn Error`.

#[path = "case.rs"]
mod case;

use std::error::Error;
use std::hint::black_box;

#[inline(never)]
fn parse(text: &str) -> Result<i32, Box<dyn Error>> {
    let value: i32 = text.parse()?;
    if cfg!(new) && value > 4 {
        return Err(format!("{value} is too large").into());
    }
    Ok(value * 2)
}

#[inline(never)]
fn step(n: usize) {
    let text = if n % 3 == 2 { format!("x{n}") } else { n.to_string() };
    match parse(black_box(&text)) {
        Ok(value) => print!("{value}"),
        Err(error) => print!("error: {error}"),
    }
}

fn main() {
    case::run(step);
}
