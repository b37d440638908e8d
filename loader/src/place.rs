//! Where the patch's memory goes.

use crate::address::{AddressRange, PAGE, RuntimeAddr};
use crate::image::Image;
use crate::maps::MemoryMap;

/// How far a 32-bit displacement reaches, less what instruction lengths and addends may take away.
const REACH: u64 = (1 << 31) - (1 << 16);
/// Kernels refuse mappings below `vm.mmap_min_addr`, 64 KiB by default.
const LOWEST: u64 = 1 << 16;
/// The heap may grow this much at least.
const HEAP_ROOM: u64 = 1 << 30;
/// The main stack may grow this much at least.
const STACK_ROOM: u64 = 1 << 30;
/// End of user addresses with four page table levels, less the last page.
const HIGHEST: u64 = (1 << 47) - PAGE;
/// Distance to what is there already, so that the kernel does not merge mappings.
const MARGIN: u64 = PAGE;

/// What a place has to satisfy.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// Length in bytes, whole pages.
    pub len: u64,
    /// The addresses that have to be within reach.
    pub near: AddressRange,
    /// Only the lowest 2 GiB will do.
    pub low: bool,
}

impl Demand {
    /// True if a region at `start` satisfies this.
    pub fn admits(&self, start: RuntimeAddr) -> bool {
        self.window().contains_range(&AddressRange::sized(start, self.len))
    }

    fn window(&self) -> AddressRange {
        let start = self.near.end.0.saturating_sub(REACH).max(LOWEST);
        let mut end = self.near.start.0.saturating_add(REACH).min(HIGHEST);
        if self.low {
            end = end.min(1 << 31);
        }
        AddressRange { start: RuntimeAddr(start), end: RuntimeAddr(end.max(start)) }
    }
}

/// Free places for the region, the best first: below the image, then between images, and last far above the
/// heap. The room into which heap and stack grow is left to them.
pub fn candidates(
    map: &MemoryMap,
    image: &Image,
    start_brk: RuntimeAddr,
    demand: &Demand,
) -> Vec<RuntimeAddr> {
    let window = demand.window();
    let image_start = image.extent().start;
    let heap = map.iter().find(|mapping| mapping.is_special("[heap]")).map(|heap| heap.range.end);
    let heap_end = heap.unwrap_or(start_brk).max(start_brk);
    let stack = map.iter().find(|mapping| mapping.is_special("[stack]")).map(|stack| stack.range.start);
    let mut places = Vec::new();
    for gap in map.gaps(RuntimeAddr(LOWEST), RuntimeAddr(HIGHEST)) {
        let mut start = gap.start.0.saturating_add(MARGIN);
        let mut end = gap.end.0.saturating_sub(MARGIN);
        // brk(2) extends the heap upwards from its end, in this gap if that is where it ends.
        let below_heap_room = gap.start <= heap_end && heap_end <= gap.end;
        if below_heap_room {
            start = start.max(heap_end.0.saturating_add(HEAP_ROOM));
        }
        if Some(gap.end) == stack {
            end = end.saturating_sub(STACK_ROOM);
        }
        let start = start.max(window.start.0).next_multiple_of(PAGE);
        let end = end.min(window.end.0) & !(PAGE - 1);
        if start.saturating_add(demand.len) > end {
            continue;
        }
        let below_image = end <= image_start.0;
        // Close to the image; above it as low as possible, which is far from where mmap(2) works downwards.
        let place = RuntimeAddr(if below_image { end - demand.len } else { start });
        places.push((!below_image, place.0.abs_diff(image_start.0), place));
    }
    places.sort_unstable();
    places.into_iter().map(|(_, _, place)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_keeps_everything_in_reach() {
        let near = AddressRange { start: RuntimeAddr(0x5555_0000_0000), end: RuntimeAddr(0x5555_0100_0000) };
        let demand = Demand { len: 0x1_0000, near, low: false };
        assert!(demand.admits(RuntimeAddr(0x5554_f000_0000)));
        assert!(!demand.admits(RuntimeAddr(0x5554_8000_0000)));
        assert!(demand.admits(RuntimeAddr(0x5555_7f00_0000)));
        assert!(!demand.admits(RuntimeAddr(0x5555_8000_0000)));
        let low = Demand { low: true, ..demand };
        assert!(!low.admits(RuntimeAddr(0x5554_f000_0000)));
    }

    #[test]
    fn non_pie_image_uses_the_room_below_it() {
        let near = AddressRange { start: RuntimeAddr(0x40_1000), end: RuntimeAddr(0x40_5000) };
        let demand = Demand { len: 0x1000, near, low: true };
        assert!(demand.admits(RuntimeAddr(0x3f_0000)));
        assert!(!demand.admits(RuntimeAddr(0x1000)));
    }
}
