//! Why a changed function changed, in terms of the source.
//!
//! Says only what the two builds prove. That a source was edited is told from lines that are farther from the
//! beginning of their function than before; an edit that keeps all lines in their places does not show there, and
//! then it is told where the differing instructions come from. What a function refers to now and did not before is
//! told by name.

use crate::code::{Program, Reference, Use};
use crate::diff::{Matching, Pair, describe};
use crate::dwarf::DebugInfo;
use crate::image::{Extent, FunctionId, Referent, stem};
use crate::origin::{Frame, Origin, Origins};
use crate::side_by_side::{Line, align_lines, image_lines};
use std::collections::{BTreeMap, BTreeSet};

/// Most items of one kind that are named.
const NAMED: usize = 4;

/// Lines at the end of a function that must have moved alike before that is called an edit: a single one may be an
/// instruction that was taken for its neighbour.
const MOVED_ALIKE: usize = 2;

/// What can be said about a changed function beyond the reasons that are known.
pub(crate) fn explain(
    pair: &Pair<'_, '_>,
    matching: &Matching,
    (old, new): (FunctionId, FunctionId),
    debug: Option<(&DebugInfo<'_>, &DebugInfo<'_>)>,
    known: &[String],
) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Some((old_debug, new_debug)) = debug
        && let Ok(Some(old_origins)) = Origins::of(old_debug, pair.old.image.function(old))
        && let Ok(Some(new_origins)) = Origins::of(new_debug, pair.new.image.function(new))
    {
        let streams = Streams::new(pair, (old, &old_origins), (new, &new_origins));
        let edited = streams.edited();
        if edited.is_empty() {
            reasons.extend(streams.differing(&new_origins));
        }
        reasons.extend(edited.iter().map(|(frame, net)| edit_text(frame, *net, &new_origins)));
        let name = stem(&pair.new.image.function(new).name);
        reasons.extend(inlining(&old_origins, &new_origins, &name));
    }
    let uses = Uses { pair, matching, old, new };
    reasons.extend(uses.only_in_one(known));
    reasons
}

/// The instructions of both builds with their origins.
struct Streams {
    old: Vec<Option<Origin>>,
    new: Vec<Option<Origin>>,
    /// Instructions that are the same.
    pairs: Vec<(usize, usize)>,
}

impl Streams {
    fn new(
        pair: &Pair<'_, '_>,
        (old, old_origins): (FunctionId, &Origins<'_>),
        (new, new_origins): (FunctionId, &Origins<'_>),
    ) -> Self {
        let origins = |program: &Program<'_>, id: FunctionId, lines: &[Line], origins: &Origins<'_>| {
            let parts = &program.image.function(id).parts;
            let address = |line: &Line| parts[line.position.0].start + line.position.1;
            lines.iter().map(|line| origins.at(address(line))).collect()
        };
        let (old_lines, new_lines) = (image_lines(pair.old, old), image_lines(pair.new, new));
        Streams {
            old: origins(pair.old, old, &old_lines, old_origins),
            new: origins(pair.new, new, &new_lines, new_origins),
            pairs: align_lines(&old_lines, &new_lines),
        }
    }

    /// The functions whose source was edited, and by how many lines they grew.
    fn edited(&self) -> BTreeMap<Frame, i64> {
        // For each function the lines of the old build, and where the same instructions are in the new one.
        let mut moved: BTreeMap<&Frame, BTreeMap<i64, BTreeSet<i64>>> = BTreeMap::new();
        for (old, new) in &self.pairs {
            if let (Some(old), Some(new)) = (&self.old[*old], &self.new[*new])
                && old.frame == new.frame
            {
                moved.entry(&old.frame).or_default().entry(old.distance).or_default().insert(new.distance);
            }
        }
        let mut found = BTreeMap::new();
        for (frame, lines) in moved {
            // A line whose instructions are on several lines now says nothing.
            let certain: Vec<(i64, i64)> = lines
                .into_iter()
                .filter_map(|(old, news)| {
                    (news.len() == 1).then(|| news.first().map(|new| (old, new - old)))?
                })
                .collect();
            let Some((_, net)) = certain.last().copied().filter(|(_, net)| *net != 0) else { continue };
            let in_order = certain.windows(2).all(|two| two[0].0 + two[0].1 <= two[1].0 + two[1].1);
            if in_order && certain.iter().rev().take_while(|(_, moved)| *moved == net).count() >= MOVED_ALIKE
            {
                found.insert(frame.clone(), net);
            }
        }
        found
    }

    /// Where the instructions that differ come from, if that is one place.
    fn differing(&self, new_origins: &Origins<'_>) -> Option<String> {
        let old_same: BTreeSet<usize> = self.pairs.iter().map(|(old, _)| *old).collect();
        let new_same: BTreeSet<usize> = self.pairs.iter().map(|(_, new)| *new).collect();
        let rest = |origins: &'_ [Option<Origin>], same: &BTreeSet<usize>| -> Option<Vec<Origin>> {
            let differing = origins.iter().enumerate().filter(|(index, _)| !same.contains(index));
            differing.map(|(_, origin)| origin.clone()).collect()
        };
        let (old, new) = (rest(&self.old, &old_same)?, rest(&self.new, &new_same)?);
        let frames: BTreeSet<&Frame> = old.iter().chain(&new).map(|origin| &origin.frame).collect();
        let [frame] = frames.into_iter().collect::<Vec<_>>()[..] else { return None };
        let lines: BTreeSet<u32> = new.iter().map(|origin| origin.line).collect();
        if lines.len() > NAMED || (lines.is_empty() && frame.is_none()) {
            return None;
        }
        let numbers: Vec<String> = lines.iter().map(u32::to_string).collect();
        let at = match lines.len() {
            0 => String::new(),
            1 => format!(", line {}", numbers[0]),
            _ => format!(", lines {}", numbers.join(", ")),
        };
        Some(match frame {
            None => format!("all instructions that differ come from {}{at}", new_origins.file),
            Some((name, file)) => format!(
                "all instructions that differ come from `{name}` in {file}{at}, inlined here{}",
                way(frame.as_ref(), new_origins)
            ),
        })
    }
}

fn edit_text(frame: &Frame, net: i64, origins: &Origins<'_>) -> String {
    let lines = match net {
        1 => "1 line longer".to_owned(),
        -1 => "1 line shorter".to_owned(),
        net if net > 0 => format!("{net} lines longer"),
        net => format!("{} lines shorter", -net),
    };
    match frame {
        None => format!("its source in {} was edited: {lines}", origins.file),
        Some((name, file)) => format!(
            "the source of `{name}` in {file} was edited, {lines}; it is inlined here{}",
            way(frame.as_ref(), origins)
        ),
    }
}

/// The functions through which `frame` was inlined.
fn way(frame: Option<&(String, String)>, origins: &Origins<'_>) -> String {
    match frame.and_then(|frame| origins.way_to(frame)) {
        Some(way) if !way.is_empty() => format!(" through `{}`", way.join("`, `")),
        _ => String::new(),
    }
}

/// What is inlined in one build only. `own` is the function's name: one that the compiler took apart and put together
/// again is inlined in itself.
fn inlining(old: &Origins<'_>, new: &Origins<'_>, own: &str) -> Vec<String> {
    let (olds, news): (BTreeSet<_>, BTreeSet<_>) =
        (old.inlined_frames().collect(), new.inlined_frames().collect());
    let text = |(name, file): &(String, String)| format!("`{name}` of {file}");
    let others = |frame: &&(String, String)| frame.0 != own;
    let added: Vec<String> = news.difference(&olds).filter(others).map(text).collect();
    let removed: Vec<String> = olds.difference(&news).filter(others).map(text).collect();
    [list("inlined here only now:", &added), list("no longer inlined here:", &removed)]
        .into_iter()
        .flatten()
        .collect()
}

/// What a function refers to.
struct Uses<'u, 'p, 'a> {
    pair: &'u Pair<'p, 'a>,
    matching: &'u Matching,
    old: FunctionId,
    new: FunctionId,
}

impl Uses<'_, '_, '_> {
    /// What the function refers to in one build only: functions, variables, imports and strings.
    fn only_in_one(&self, known: &[String]) -> Vec<String> {
        let (olds, news) = (self.named(self.pair.old, self.old), self.named(self.pair.new, self.new));
        let told = |name: &&String| known.iter().any(|reason| reason.contains(name.as_str()));
        let added: Vec<String> = news.difference(&olds).filter(|name| !told(name)).cloned().collect();
        let removed: Vec<String> = olds.difference(&news).filter(|name| !told(name)).cloned().collect();
        [list("uses only now:", &added), list("no longer uses:", &removed)].into_iter().flatten().collect()
    }

    /// Names of what a function refers to; what both builds have goes by its name in the target.
    fn named(&self, program: &Program<'_>, id: FunctionId) -> BTreeSet<String> {
        let is_new = std::ptr::eq(program, self.pair.new);
        let name = |reference: &Reference| -> Option<String> {
            let referent = &reference.referent;
            let counterpart = match *referent {
                Referent::Code { function, offset, .. } if function == id || offset != 0 => return None,
                Referent::Object { id, offset, .. }
                    if offset != 0 || program.image.object(id).names_function() =>
                {
                    return None;
                }
                Referent::Unnamed { .. } | Referent::Outside { .. } => return None,
                Referent::Constant { address, .. } => {
                    let text = matches!(program.constant(address), Some((Extent::Text(_), _)));
                    if reference.usage != Use::Address || !text {
                        return None;
                    }
                    None
                }
                Referent::Code { function, .. } if is_new => {
                    self.matching.old_function(function).map(|old| &self.pair.old.image.function(old).name)
                }
                Referent::Object { id, .. } if is_new => {
                    self.matching.old_object(id).map(|old| &self.pair.old.image.object(old).name)
                }
                _ => None,
            };
            Some(counterpart.map_or_else(|| describe(program, referent), |name| format!("`{name}`")))
        };
        program.code(id).references.iter().filter_map(name).collect()
    }
}

fn list(what: &str, items: &[String]) -> Option<String> {
    let shown = items.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = items.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!items.is_empty()).then(|| format!("{what} {shown}{more}"))
}
