//! What a thread's guest did last, told when it cannot go on.

use std::cell::RefCell;
use std::fmt;

const KEPT: usize = 8;

/// One port access.
#[derive(Clone, Copy, Debug)]
struct Access {
    port: u16,
    is_write: bool,
}

struct Ring {
    accesses: [Option<Access>; KEPT],
    next: usize,
}

thread_local! {
    static RING: RefCell<Ring> = const { RefCell::new(Ring { accesses: [None; KEPT], next: 0 }) };
}

/// Notes a port access of this thread's guest.
pub(crate) fn record(port: u16, is_write: bool) {
    RING.with_borrow_mut(|ring| {
        ring.accesses[ring.next] = Some(Access { port, is_write });
        ring.next = (ring.next + 1) % KEPT;
    });
}

/// The last port accesses of this thread's guest, the latest one last.
pub(crate) struct Recent;

impl fmt::Display for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RING.with_borrow(|ring| {
            let (newer, older) = ring.accesses.split_at(ring.next);
            for access in older.iter().chain(newer).flatten() {
                write!(f, " {}{:#x}", if access.is_write { '>' } else { '<' }, access.port)?;
            }
            Ok(())
        })
    }
}
