//! The difference of two byte strings as copies and literals.

use patchfile::{DeltaOp, LinkAddr};
use std::collections::HashMap;

/// Length of the blocks by which common stretches are found; shorter ones cost more to describe than to repeat.
const BLOCK: usize = 32;

/// Describes `new` by stretches of `old`, whose first byte is at `base` in the target, and literal bytes.
pub(super) fn difference(base: LinkAddr, old: &[u8], new: &[u8]) -> Vec<DeltaOp> {
    let mut blocks: HashMap<&[u8], usize> = HashMap::new();
    for (index, block) in old.chunks_exact(BLOCK).enumerate() {
        blocks.entry(block).or_insert(index * BLOCK);
    }
    let mut ops = Vec::new();
    let mut literal_from = 0;
    let mut at = 0;
    // Where the last copy would go on: tried first, so that long stretches stay one operation.
    let mut expected = 0;
    while at < new.len() {
        let continues = new.get(at..at + BLOCK).is_some()
            && old.get(expected..expected + BLOCK) == new.get(at..at + BLOCK);
        let found = if continues {
            Some(expected)
        } else {
            new.get(at..at + BLOCK).and_then(|block| blocks.get(block).copied())
        };
        let Some(mut from) = found else {
            at += 1;
            expected += 1;
            continue;
        };
        let mut start = at;
        while start > literal_from && from > 0 && old[from - 1] == new[start - 1] {
            start -= 1;
            from -= 1;
        }
        let len = old[from..].iter().zip(&new[start..]).take_while(|(a, b)| a == b).count();
        if start > literal_from {
            ops.push(DeltaOp::Literal(new[literal_from..start].to_vec()));
        }
        ops.push(DeltaOp::Copy { from: base.offset(from as u64), len: len as u64 });
        at = start + len;
        literal_from = at;
        expected = from + len;
    }
    if literal_from < new.len() {
        ops.push(DeltaOp::Literal(new[literal_from..].to_vec()));
    }
    ops
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rebuild(base: u64, old: &[u8], ops: &[DeltaOp]) -> Vec<u8> {
        let mut out = Vec::new();
        for op in ops {
            match op {
                DeltaOp::Copy { from, len } => {
                    let start = (from.0 - base) as usize;
                    out.extend_from_slice(&old[start..start + *len as usize]);
                }
                DeltaOp::Literal(bytes) => out.extend_from_slice(bytes),
            }
        }
        out
    }

    #[test]
    fn insertions_and_replacements_rebuild_the_new_bytes() {
        let old: Vec<u8> = (0..4000_u32).map(|n| ((n * n) >> 3) as u8).collect();
        let mut new = old.clone();
        new.splice(1000..1003, *b"inserted and longer");
        new.splice(3000..3100, [7; 5]);
        let ops = difference(LinkAddr(0x1000), &old, &new);
        assert_eq!(rebuild(0x1000, &old, &ops), new);
        let literal: usize =
            ops.iter().map(|op| if let DeltaOp::Literal(bytes) = op { bytes.len() } else { 0 }).sum();
        assert!(literal < 100, "{literal} literal bytes");
    }

    #[test]
    fn nothing_in_common_is_one_literal() {
        assert_eq!(difference(LinkAddr(0), &[], b"abc"), [DeltaOp::Literal(b"abc".to_vec())]);
    }
}
