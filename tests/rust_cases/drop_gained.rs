// changed: drop_gained::step
// new: core::ptr::drop_in_place<drop_gained::Disk>
// refused: type-layout vtable of <drop_gained::Disk as drop_gained::Device>
//! A type begins to have a destructor: tables of methods that live objects have say otherwise.

#[path = "case.rs"]
mod case;

use std::sync::Mutex;

trait Device: Send {
    fn id(&self) -> usize;
}

struct Disk(usize);

impl Device for Disk {
    fn id(&self) -> usize {
        self.0
    }
}

#[cfg(new)]
impl Drop for Disk {
    fn drop(&mut self) {
        print!("closed {} ", self.0);
    }
}

static DEVICES: Mutex<Vec<Box<dyn Device>>> = Mutex::new(Vec::new());

#[inline(never)]
fn make(n: usize) -> Box<dyn Device> {
    Box::new(Disk(n))
}

#[inline(never)]
fn step(n: usize) {
    let mut devices = DEVICES.lock().unwrap();
    devices.push(make(n));
    if n % 2 == 1 {
        let last = devices.pop();
        print!("{} ", last.map_or(0, |device| device.id()));
    }
    print!("{}", devices.len());
}

fn main() {
    case::run(step);
}
