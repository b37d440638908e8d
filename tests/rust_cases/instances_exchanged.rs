// changed: <instances_exchanged::Scale<T> as instances_exchanged::Device>::read
// changed: <instances_exchanged::Scale<T> as instances_exchanged::Device>::read
// new-flags: -Cmetadata=2
//! Two instances of a generic method become each other in a build with other hashes (a new version of the crate): they
//! are told by their types.

#[path = "case.rs"]
mod case;

use std::hint::black_box;
use std::marker::PhantomData;
use std::sync::Mutex;

trait Factor: Send {
    const FACTOR: usize;
}

struct Low;

struct High;

impl Factor for Low {
    const FACTOR: usize = if cfg!(new) { 23 } else { 17 };
}

impl Factor for High {
    const FACTOR: usize = if cfg!(new) { 17 } else { 23 };
}

trait Device: Send {
    fn read(&self, at: usize) -> usize;
}

struct Scale<T>(usize, PhantomData<T>);

impl<T: Factor> Device for Scale<T> {
    #[inline(never)]
    fn read(&self, at: usize) -> usize {
        black_box(at) * T::FACTOR + self.0
    }
}

static BUS: Mutex<Vec<Box<dyn Device>>> = Mutex::new(Vec::new());

#[inline(never)]
fn fill() {
    let mut bus = BUS.lock().unwrap();
    if bus.is_empty() {
        bus.push(Box::new(Scale::<Low>(1, PhantomData)));
        bus.push(Box::new(Scale::<High>(2, PhantomData)));
    }
}

#[inline(never)]
fn step(n: usize) {
    fill();
    for device in black_box(&*BUS.lock().unwrap()) {
        print!("{} ", device.read(n + 1));
    }
}

fn main() {
    case::run(step);
}
