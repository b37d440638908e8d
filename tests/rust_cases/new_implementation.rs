// changed: new_implementation::make
// changed: new_implementation::step
// new: <new_implementation::Null as new_implementation::Device>::read
//! Objects of a new type get a new table of methods.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

trait Device {
    fn read(&self, at: usize) -> usize;
}

struct Disk(usize);

#[cfg(new)]
struct Null;

impl Device for Disk {
    #[inline(never)]
    fn read(&self, at: usize) -> usize {
        self.0 + at
    }
}

#[cfg(new)]
impl Device for Null {
    #[inline(never)]
    fn read(&self, _: usize) -> usize {
        0
    }
}

#[inline(never)]
fn make(n: usize) -> Box<dyn Device> {
    #[cfg(new)]
    if n % 2 == 1 {
        return Box::new(Null);
    }
    Box::new(Disk(n))
}

#[inline(never)]
fn step(n: usize) {
    print!("{}", black_box(make(black_box(n))).read(3));
}

fn main() {
    case::run(step);
}
