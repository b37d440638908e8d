// changed: default_method_overridden::Device::size
// changed: default_method_overridden::step
// new: <default_method_overridden::Serial as default_method_overridden::Device>::size
// removed: default_method_overridden::Device::size
// refused: type-layout vtable of <default_method_overridden::Serial as default_method_overridden::Device>
//! A type begins to have its own version of a method that the trait defines: the tables of live objects have the
//! trait's.

#[path = "case.rs"]
mod case;

use std::hint::black_box;
use std::sync::Mutex;

trait Device: Send {
    fn at(&self) -> usize;
    #[inline(never)]
    fn size(&self) -> usize {
        self.at() + if cfg!(new) { 2 } else { 1 }
    }
}

struct Disk(usize);

struct Serial(usize);

impl Device for Disk {
    fn at(&self) -> usize {
        self.0
    }
}

impl Device for Serial {
    fn at(&self) -> usize {
        self.0 * 10
    }
    #[cfg(new)]
    fn size(&self) -> usize {
        7
    }
}

static BUS: Mutex<Vec<Box<dyn Device>>> = Mutex::new(Vec::new());

#[inline(never)]
fn step(n: usize) {
    let mut bus = BUS.lock().unwrap();
    bus.push(if n % 2 == 0 { Box::new(Disk(n)) } else { Box::new(Serial(n)) });
    for device in black_box(&*bus) {
        print!("{} ", device.size());
    }
}

fn main() {
    case::run(step);
}
