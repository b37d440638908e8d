//! The longest common subsequence of two lists, after Hirschberg (CACM 18, 1975): in linear space, since functions of
//! ten thousand instructions exist.

use std::collections::HashMap;

/// Pairs of indices of equal items, ascending in both lists, as many as possible.
pub(super) fn align(old: &[String], new: &[String]) -> Vec<(usize, usize)> {
    let mut numbers = HashMap::new();
    let mut number = |item| {
        let next = numbers.len() as u32;
        *numbers.entry(item).or_insert(next)
    };
    let old: Vec<u32> = old.iter().map(&mut number).collect();
    let new: Vec<u32> = new.iter().map(number).collect();
    let mut pairs = Vec::new();
    split(&old, &new, (0, 0), &mut pairs);
    pairs
}

/// Aligns two stretches that begin at `at` in the whole lists.
fn split(old: &[u32], new: &[u32], at: (usize, usize), pairs: &mut Vec<(usize, usize)>) {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    pairs.extend((0..head).map(|index| (at.0 + index, at.1 + index)));
    let (old, new, at) = (&old[head..], &new[head..], (at.0 + head, at.1 + head));
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let (inner_old, inner_new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
    match inner_old {
        [] => {}
        [sole] => {
            let found = inner_new.iter().position(|item| item == sole);
            pairs.extend(found.map(|index| (at.0, at.1 + index)));
        }
        _ => {
            let middle = inner_old.len() / 2;
            let forward = lengths(inner_old[..middle].iter(), &inner_new.iter());
            let backward = lengths(inner_old[middle..].iter().rev(), &inner_new.iter().rev());
            // The first of the best cuts, so that the result depends on the input only.
            let total = |cut: usize| forward[cut] + backward[inner_new.len() - cut];
            let best = (0..=inner_new.len()).map(total).max().unwrap_or(0);
            let cut = (0..=inner_new.len()).find(|cut| total(*cut) == best).unwrap_or(0);
            split(&inner_old[..middle], &inner_new[..cut], at, pairs);
            split(&inner_old[middle..], &inner_new[cut..], (at.0 + middle, at.1 + cut), pairs);
        }
    }
    let ends = (at.0 + inner_old.len(), at.1 + inner_new.len());
    pairs.extend((0..tail).map(|index| (ends.0 + index, ends.1 + index)));
}

/// How long the longest common subsequence of `old` and each beginning of `new` is.
fn lengths<'n>(
    old: impl Iterator<Item = &'n u32>,
    new: &(impl ExactSizeIterator<Item = &'n u32> + Clone),
) -> Vec<u32> {
    let mut row = vec![0; new.len() + 1];
    for a in old {
        let mut diagonal = 0;
        for (index, b) in new.clone().enumerate() {
            let above = row[index + 1];
            row[index + 1] = if a == b { diagonal + 1 } else { above.max(row[index]) };
            diagonal = above;
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// The length of the longest common subsequence by the definition.
    fn length(old: &[String], new: &[String]) -> usize {
        match (old, new) {
            ([a, old_rest @ ..], [b, new_rest @ ..]) if a == b => 1 + length(old_rest, new_rest),
            ([_, old_rest @ ..], [_, new_rest @ ..]) => length(old_rest, new).max(length(old, new_rest)),
            _ => 0,
        }
    }

    #[test]
    fn as_long_as_possible_and_in_order() {
        let texts =
            ["a b c d e", "a x c d y e", "e d c b a", "c c c a c", "x", "a b a b a b b", "b a b a", ""];
        for old in texts.map(words) {
            for new in texts.map(words) {
                let pairs = align(&old, &new);
                assert_eq!(pairs.len(), length(&old, &new), "{old:?} {new:?} {pairs:?}");
                assert!(pairs.iter().all(|(a, b)| old[*a] == new[*b]), "{pairs:?}");
                assert!(pairs.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 < two[1].1), "{pairs:?}");
            }
        }
    }
}
