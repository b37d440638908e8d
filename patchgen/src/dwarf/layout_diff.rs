//! How two layouts of one type differ.

use std::collections::HashMap;
use std::ops::Range;

use super::layout::{CONSTANT, Enumerator, Member, Role, TypeLayout};
use super::placement::Position;

/// How many differences of one type a message lists before it counts the rest.
const LISTED: usize = 8;

/// A way in which a type's layout differs; the more harmful ones come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LayoutChangeKind {
    /// The type takes more or less room: arrays of it, and aggregates with it inside, shift.
    SizeChanged,
    /// It was a struct and is a union, or the like.
    KindChanged,
    /// A member is at another place than before.
    MemberMoved,
    /// A member is gone.
    MemberRemoved,
    /// A member has another type or width at the same place.
    MemberTypeChanged,
    /// The type asks for another alignment.
    AlignmentChanged,
    /// A virtual function's slot or type differs, or there are more or fewer: existing objects point to the
    /// old table.
    VirtualTableChanged,
    /// A name stands for another value than the one that live data holds.
    EnumValueChanged,
    /// An enum's values are stored, or a base type's bits are read, in another way.
    RepresentationChanged,
    /// A member was added in a place that others have already, as in a union, or whose width is not known.
    MemberAdded,
    /// The same type at the same place has another name. Its meaning may differ.
    MemberRenamed,
    /// A named value is gone.
    EnumeratorRemoved,
    /// A member was added in what was padding, and nothing else differs there. Live objects hold whatever
    /// their padding held: zero if they were allocated zeroed.
    PaddingFilled,
    /// A value was named that had no name.
    EnumeratorAdded,
}

impl LayoutChangeKind {
    /// Whether all that the old build stored is still found, and means the same, in the new one.
    pub fn keeps_old_members(self) -> bool {
        matches!(self, Self::PaddingFilled | Self::EnumeratorAdded)
    }
}

/// The differences of one type, each with its text.
#[derive(Debug, Default)]
pub(super) struct Differences {
    items: Vec<(LayoutChangeKind, String)>,
    /// What members that were added in padding take up, in bytes from the beginning.
    pub(super) filled: Vec<Range<u64>>,
}

impl Differences {
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether nothing but the size differs.
    pub(super) fn is_size_alone(&self) -> bool {
        self.items.iter().all(|(kind, _)| *kind == LayoutChangeKind::SizeChanged)
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// All kinds that occur, each once, the most harmful first.
    pub(super) fn kinds(&self) -> Vec<LayoutChangeKind> {
        let mut kinds: Vec<_> = self.items.iter().map(|(kind, _)| *kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// What differs, for people.
    pub(super) fn text(&self) -> String {
        let mut listed: Vec<_> = self.items.iter().map(|(_, text)| text.as_str()).take(LISTED).collect();
        let rest = self.items.len().saturating_sub(LISTED);
        let more = format!("and {rest} more differences");
        if rest > 0 {
            listed.push(&more);
        }
        listed.join("; ")
    }

    fn push(&mut self, kind: LayoutChangeKind, text: String) {
        self.items.push((kind, text));
    }
}

/// Compares two definitions of the type; empty if they are equal.
pub(super) fn compare(old: &TypeLayout, new: &TypeLayout) -> Differences {
    let mut found = Differences::default();
    if old.keyword != new.keyword {
        found.push(LayoutChangeKind::KindChanged, format!("{} -> {}", old.keyword, new.keyword));
    }
    if old.size != new.size {
        let text = format!("size {} -> {} bytes", number(old.size), number(new.size));
        found.push(LayoutChangeKind::SizeChanged, text);
    }
    if old.alignment != new.alignment {
        let text = format!("alignment {} -> {}", number(old.alignment), number(new.alignment));
        found.push(LayoutChangeKind::AlignmentChanged, text);
    }
    if old.representation != new.representation {
        let text =
            |layout: &TypeLayout| layout.representation.clone().unwrap_or_else(|| "unstated".to_owned());
        let text = format!("representation {} -> {}", text(old), text(new));
        found.push(LayoutChangeKind::RepresentationChanged, text);
    }
    compare_members(old, new, &mut found);
    let variants = old.members.iter().chain(&new.members).any(|member| member.role == Role::Variant);
    let noun = match old.keyword {
        _ if variants => "the value that selects variant",
        CONSTANT => "constant",
        _ => "enumerator",
    };
    compare_enumerators(&old.enumerators, &new.enumerators, noun, variants, &mut found);
    found
}

fn compare_members(old: &TypeLayout, new: &TypeLayout, found: &mut Differences) {
    let mut unmatched: HashMap<(Role, &str), Vec<&Member>> = HashMap::new();
    for member in old.members.iter().rev() {
        unmatched.entry((member.role, &member.name)).or_default().push(member);
    }
    let mut added = Vec::new();
    let mut texts = Vec::new();
    for member in &new.members {
        match unmatched.get_mut(&(member.role, member.name.as_str())).and_then(Vec::pop) {
            Some(before) => texts.extend(compare_member(before, member)),
            None => added.push(member),
        }
    }
    let mut removed: Vec<_> = old
        .members
        .iter()
        .filter(|member| {
            let left = unmatched.get(&(member.role, member.name.as_str()));
            left.is_some_and(|left| left.iter().any(|other| std::ptr::eq(*other, *member)))
        })
        .collect();
    for member in added {
        let twin = removed.iter().position(|gone| {
            gone.role == member.role
                && gone.position == member.position
                && gone.type_name == member.type_name
                && gone.bits == member.bits
        });
        if let Some(twin) = twin.filter(|_| member.role != Role::Virtual) {
            let gone = removed.remove(twin);
            let text = format!("member `{}` renamed to `{}`", gone.name, member.name);
            found.push(LayoutChangeKind::MemberRenamed, text);
            continue;
        }
        let fits = old.size == new.size && in_padding(old, member);
        let kind = match member.role {
            Role::Virtual => LayoutChangeKind::VirtualTableChanged,
            Role::Variant => LayoutChangeKind::EnumeratorAdded,
            _ if fits => LayoutChangeKind::PaddingFilled,
            _ => LayoutChangeKind::MemberAdded,
        };
        let place = member.position.text();
        let text = match member.role {
            Role::Virtual => format!("virtual function `{}` added", member.name),
            Role::Variant => format!("variant `{}` added", member.name),
            _ if fits => {
                format!("member `{}` ({}) added in padding at offset {place}", member.name, member.type_name)
            }
            Role::Discriminant => format!("a discriminant added at offset {place}"),
            _ => format!("member `{}` ({}) added at offset {place}", member.name, member.type_name),
        };
        found.push(kind, text);
        if let (LayoutChangeKind::PaddingFilled, Some((start, end))) = (kind, extent(member)) {
            found.filled.push(start / 8..end.div_ceil(8));
        }
    }
    for member in removed {
        let kind = match member.role {
            Role::Virtual => LayoutChangeKind::VirtualTableChanged,
            Role::Variant => LayoutChangeKind::EnumeratorRemoved,
            _ => LayoutChangeKind::MemberRemoved,
        };
        let text = match member.role {
            Role::Variant => format!("variant `{}` removed", member.name),
            Role::Discriminant => "the discriminant is gone".to_owned(),
            role => format!("{} `{}` ({}) removed", noun(role), member.name, member.type_name),
        };
        found.push(kind, text);
    }
    found.items.extend(texts);
}

fn compare_member(old: &Member, new: &Member) -> Vec<(LayoutChangeKind, String)> {
    let mut found = Vec::new();
    let (what, name) = (noun(old.role), &old.name);
    let what = if old.role == Role::Discriminant { what.to_owned() } else { format!("{what} `{name}`") };
    if old.role == Role::Virtual {
        if old.position != new.position || old.type_name != new.type_name {
            found.push((LayoutChangeKind::VirtualTableChanged, format!("{what} changed")));
        }
        return found;
    }
    if old.type_name != new.type_name {
        let text = format!("{what} changed from {} to {}", old.type_name, new.type_name);
        found.push((LayoutChangeKind::MemberTypeChanged, text));
    } else if old.bits != new.bits || old.element_bits != new.element_bits {
        let text = format!("{what} changed from {} to {}", width(old.bits), width(new.bits));
        found.push((LayoutChangeKind::MemberTypeChanged, text));
    }
    if old.position != new.position {
        let text = format!("{what} moved from offset {} to {}", old.position.text(), new.position.text());
        found.push((LayoutChangeKind::MemberMoved, text));
    }
    found
}

/// Whether no member of the old layout has a bit of the place that a new member takes.
fn in_padding(old: &TypeLayout, added: &Member) -> bool {
    let Some((start, end)) = extent(added) else { return false };
    let inside = old.size.and_then(|size| size.checked_mul(8)).is_some_and(|size| end <= size);
    inside
        && old.members.iter().filter(|member| member.role != Role::Virtual).all(|member| {
            let Some((taken_start, taken_end)) = extent(member) else {
                // A flexible array takes all that follows; a computed position may be anywhere.
                return matches!(member.position, Position::Bit(bit) if end <= bit);
            };
            let taken_start = match (member.role, member.element_bits) {
                (Role::Container, None) => return true,
                // The parts stand for the first element; the others may only be entered with it.
                (Role::Container, Some(_)) if added.name.starts_with(&format!("{}[].", member.name)) => {
                    return true;
                }
                (Role::Container, Some(element)) => taken_start.saturating_add(element),
                _ => taken_start,
            };
            end <= taken_start || taken_end <= start
        })
}

/// First bit and the one behind the last.
fn extent(member: &Member) -> Option<(u64, u64)> {
    match (&member.position, member.bits) {
        (Position::Bit(start), Some(bits)) => Some((*start, start.checked_add(bits)?)),
        _ => None,
    }
}

/// Compares named values. `variants`: those that select variants, which are members and reported as such.
fn compare_enumerators(
    old: &[Enumerator],
    new: &[Enumerator],
    noun: &str,
    variants: bool,
    found: &mut Differences,
) {
    let before: HashMap<_, _> = old.iter().map(|item| (item.name.as_str(), item.value)).collect();
    let after: HashMap<_, _> = new.iter().map(|item| (item.name.as_str(), item.value)).collect();
    let text = |value: Option<i128>| match value {
        Some(value) => value.to_string(),
        None if variants => "all others".to_owned(),
        None => "?".to_owned(),
    };
    for Enumerator { name, value } in new {
        match before.get(name.as_str()) {
            None if variants => {}
            None => {
                let text = format!("enumerator `{name}` = {} added", text(*value));
                found.push(LayoutChangeKind::EnumeratorAdded, text);
            }
            Some(was) if was != value => {
                let text = format!("{noun} `{name}` changed from {} to {}", text(*was), text(*value));
                found.push(LayoutChangeKind::EnumValueChanged, text);
            }
            Some(_) => {}
        }
    }
    for Enumerator { name, value } in old {
        if !variants && !after.contains_key(name.as_str()) {
            let text = format!("enumerator `{name}` = {} removed", text(*value));
            found.push(LayoutChangeKind::EnumeratorRemoved, text);
        }
    }
}

fn noun(role: Role) -> &'static str {
    match role {
        Role::Field | Role::Container => "member",
        Role::Base => "base class",
        Role::Virtual => "virtual function",
        Role::Discriminant => "the discriminant",
        Role::Variant => "variant",
    }
}

fn number(value: Option<u64>) -> String {
    value.map_or("unknown".to_owned(), |value| value.to_string())
}

fn width(bits: Option<u64>) -> String {
    match bits {
        Some(bits) if bits % 8 == 0 => format!("{} bytes", bits / 8),
        Some(bits) => format!("{bits} bits"),
        None => "unknown width".to_owned(),
    }
}
