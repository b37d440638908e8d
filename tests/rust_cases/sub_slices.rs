// changed: sub_slices::f
// changed: sub_slices::g
// changed: sub_slices::rest
// changed: sub_slices::table
//! Other functions refer to the middle of constants in which a function looks up an index.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

const TEXT: &str = if cfg!(new) { "hellowXrld" } else { "helloworld" };

const fn squares() -> [u32; 64] {
    let mut all = [0; 64];
    let mut at = 0;
    while at < 64 {
        all[at] = (at * at + 7) as u32;
        at += 1;
    }
    if cfg!(new) {
        all[44] = 9999;
    }
    all
}

const TABLE: &[u32; 64] = &squares();

#[inline(never)]
fn f(at: usize) -> u8 {
    TEXT.as_bytes()[at]
}

#[inline(never)]
fn show(text: &str) {
    print!("{text} ");
}

#[inline(never)]
fn g() {
    black_box(show as fn(&str))(&TEXT[5..])
}

#[inline(never)]
fn sum(all: &[u32]) -> u32 {
    all.iter().fold(0, |sum, one| sum.wrapping_mul(31).wrapping_add(*one))
}

#[inline(never)]
fn table(at: usize) -> u32 {
    black_box(sum as fn(&[u32]) -> u32)(&TABLE[..16]) ^ TABLE[at]
}

#[inline(never)]
fn rest() -> u32 {
    black_box(sum as fn(&[u32]) -> u32)(&TABLE[16..])
}

#[inline(never)]
fn step(n: usize) {
    g();
    print!("{} {} {}", f(black_box(n % 7 + 3)), table(black_box(n % 20 + 40)), rest());
}

fn main() {
    case::run(step);
}
