// changed: <trait_objects::Disk as trait_objects::Device>::read
//! Objects behind `dyn`, made before the patch and after it, call the new method.

#[path = "case.rs"]
mod case;

use std::hint::black_box;
use std::sync::Mutex;

trait Device: Send {
    fn read(&mut self, at: usize) -> usize;
    fn name(&self) -> String;
}

struct Disk {
    sectors: Vec<usize>,
}

struct Serial(usize);

impl Device for Disk {
    #[inline(never)]
    fn read(&mut self, at: usize) -> usize {
        self.sectors.push(at);
        if cfg!(new) { self.sectors.len() * 1000 } else { self.sectors.len() }
    }
    fn name(&self) -> String {
        "disk".into()
    }
}

impl Device for Serial {
    #[inline(never)]
    fn read(&mut self, at: usize) -> usize {
        self.0 += at;
        self.0
    }
    fn name(&self) -> String {
        "serial".into()
    }
}

static BUS: Mutex<Vec<Box<dyn Device>>> = Mutex::new(Vec::new());

#[inline(never)]
fn step(n: usize) {
    let mut bus = BUS.lock().unwrap();
    bus.push(if n % 2 == 0 { Box::new(Disk { sectors: vec![1] }) } else { Box::new(Serial(5)) });
    for device in black_box(&mut bus).iter_mut() {
        print!("{}:{} ", device.name(), device.read(n));
    }
}

fn main() {
    case::run(step);
}
