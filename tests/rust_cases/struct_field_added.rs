// changed: struct_field_added::Disk::read
// changed: struct_field_added::step
// refused: type-layout struct_field_added::Disk
//! A live object on the heap gets another field.

#[path = "case.rs"]
mod case;

use std::hint::black_box;
use std::sync::Mutex;

struct Disk {
    sectors: u32,
    #[cfg(new)]
    errors: u64,
    name: String,
}

impl Disk {
    #[inline(never)]
    fn read(&mut self, at: usize) -> usize {
        self.sectors += 1;
        #[cfg(new)]
        {
            self.errors += at as u64;
        }
        self.name.len() + self.sectors as usize + at
    }
}

static DISK: Mutex<Option<Box<Disk>>> = Mutex::new(None);

#[inline(never)]
fn step(n: usize) {
    let mut disk = DISK.lock().unwrap();
    let disk = disk.get_or_insert_with(|| {
        Box::new(Disk {
            sectors: 1,
            #[cfg(new)]
            errors: 0,
            name: "disk".into(),
        })
    });
    print!("{}", black_box(&mut *disk).read(n));
    #[cfg(new)]
    print!(" {}", disk.errors);
}

fn main() {
    case::run(step);
}
