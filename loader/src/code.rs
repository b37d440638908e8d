//! The code that no thread may be inside of.

use crate::address::{AddressRange, RuntimeAddr};

/// Ranges of code, each with the function that it belongs to, for fast lookup.
#[derive(Clone, Debug, Default)]
pub struct CodeSet {
    ranges: Vec<(AddressRange, String)>,
    extent: AddressRange,
}

impl CodeSet {
    /// A set of these ranges, which may overlap.
    pub fn new(ranges: impl IntoIterator<Item = (AddressRange, String)>) -> Self {
        let mut ranges: Vec<(AddressRange, String)> =
            ranges.into_iter().filter(|(range, _)| !range.is_empty()).collect();
        ranges.sort_by_key(|(range, _)| *range);
        // Lookups expect disjoint ranges: an overlapping one starts where its predecessor ends.
        let mut end = RuntimeAddr(0);
        for (range, _) in &mut ranges {
            range.start = range.start.max(end);
            range.end = range.end.max(range.start);
            end = range.end;
        }
        ranges.retain(|(range, _)| !range.is_empty());
        let start = ranges.first().map_or(RuntimeAddr(0), |(range, _)| range.start);
        CodeSet { ranges, extent: AddressRange { start, end } }
    }

    /// The function whose code an instruction at `address` belongs to.
    pub fn function_at(&self, address: RuntimeAddr) -> Option<&str> {
        if !self.extent.contains(address) {
            return None;
        }
        let behind = self.ranges.partition_point(|(range, _)| range.end <= address);
        self.ranges
            .get(behind)
            .filter(|(range, _)| range.contains(address))
            .map(|(_, function)| function.as_str())
    }

    /// The function that would go on if something returned to `address`. A call may be a function's last
    /// instruction, then its return address is the function's end.
    pub fn function_returned_to(&self, address: u64) -> Option<&str> {
        self.function_at(RuntimeAddr(address.wrapping_sub(1)))
            .filter(|_| self.function_starts(address).is_none())
    }

    /// A word that equals a function's start is its address, and not a way back into it, unless it also is
    /// the end of another function of the set.
    fn function_starts(&self, address: u64) -> Option<&str> {
        let index = self.ranges.binary_search_by_key(&address, |(range, _)| range.start.0).ok()?;
        let follows_directly = index > 0 && self.ranges[index - 1].0.end.0 == address;
        (!follows_directly).then_some(self.ranges[index].1.as_str())
    }

    /// Indices and values of the words of `stack` that may be return addresses into the set.
    pub fn hits<'a>(&'a self, stack: &'a [u8]) -> impl Iterator<Item = (usize, u64, &'a str)> {
        // One comparison sorts out nearly every word.
        let first = self.extent.start.0.wrapping_add(1);
        let span = self.extent.len();
        stack.chunks_exact(8).enumerate().filter_map(move |(index, word)| {
            let word = u64::from_le_bytes(word.try_into().ok()?);
            if word.wrapping_sub(first) >= span {
                return None;
            }
            self.function_returned_to(word).map(|function| (index * 8, word, function))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> CodeSet {
        let range = |start, end| AddressRange { start: RuntimeAddr(start), end: RuntimeAddr(end) };
        CodeSet::new([
            (range(0x1000, 0x1010), "f".to_owned()),
            (range(0x1010, 0x1020), "g".to_owned()),
            (range(0x2000, 0x2010), "h".to_owned()),
        ])
    }

    #[test]
    fn instructions_and_return_addresses() {
        let set = set();
        assert_eq!(set.function_at(RuntimeAddr(0x1000)), Some("f"));
        assert_eq!(set.function_at(RuntimeAddr(0x1010)), Some("g"));
        assert_eq!(set.function_at(RuntimeAddr(0x1020)), None);
        assert_eq!(set.function_returned_to(0x1000), None);
        assert_eq!(set.function_returned_to(0x1001), Some("f"));
        // The end of f: a call may be its last instruction.
        assert_eq!(set.function_returned_to(0x1010), Some("f"));
        assert_eq!(set.function_returned_to(0x1020), Some("g"));
        assert_eq!(set.function_returned_to(0x2000), None);
        assert_eq!(set.function_returned_to(0x2010), Some("h"));
        assert_eq!(set.function_returned_to(0x2011), None);
    }

    #[test]
    fn scan_finds_words_at_both_edges() {
        let set = set();
        let words: Vec<u8> = [0, 0x1000, 0x1001, 0x2010, 0x2011, u64::MAX]
            .iter()
            .flat_map(|word: &u64| word.to_le_bytes())
            .collect();
        let hits: Vec<_> = set.hits(&words).collect();
        assert_eq!(hits, [(16, 0x1001, "f"), (32 - 8, 0x2010, "h")]);
    }
}
