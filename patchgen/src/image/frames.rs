//! The frames that the unwinder knows: `.eh_frame` (LSB Core, "Exception Frames").

use super::{Image, Section, ViaAddress};
use gimli::{
    BaseAddresses, CieOrFde, CommonInformationEntry, EhFrame, EndianSlice, LittleEndian, UnwindSection,
};
use std::collections::HashMap;
use std::ops::Range;

type Reader<'a> = EndianSlice<'a, LittleEndian>;
type Cie<'a> = CommonInformationEntry<Reader<'a>>;

/// What the unwinder knows of a piece of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The code.
    pub range: Range<u64>,
    /// The routine that decides what happens to an exception here.
    pub personality: Option<ViaAddress>,
    /// Address of the exception table (language-specific data area).
    pub lsda: Option<u64>,
}

/// The frames of an image.
#[derive(Debug, Default)]
pub struct Frames {
    /// By ascending address.
    list: Vec<Frame>,
    /// True if a part of the section cannot be read, so that frames may be missing.
    damaged: bool,
}

impl Frames {
    /// True if any function of `image` has an exception table or a personality routine.
    pub fn are_told_apart(image: &Image<'_>) -> bool {
        let tables = image.sections.iter().any(|section| section.name.starts_with(".gcc_except_table"));
        tables || section_of(image).is_some_and(has_personality)
    }

    /// Reads the frames of `image`.
    pub fn read(image: &Image<'_>) -> Self {
        let Some(section) = section_of(image) else { return Frames::default() };
        let entries = EhFrame::new(section.data, LittleEndian);
        let bases = BaseAddresses::default().set_eh_frame(section.range.start);
        if !image.linkage.pointers_in(section.range.clone()).is_empty() {
            // Addresses that the dynamic linker fills in are not in the file.
            return Frames { list: Vec::new(), damaged: true };
        }
        let mut frames = Frames::default();
        let mut cies: HashMap<usize, Cie<'_>> = HashMap::new();
        let mut iter = entries.entries(&bases);
        loop {
            let partial = match iter.next() {
                Ok(Some(CieOrFde::Fde(partial))) => partial,
                Ok(Some(CieOrFde::Cie(_))) => continue,
                Ok(None) => break,
                Err(_) => {
                    frames.damaged = true;
                    break;
                }
            };
            let parsed = partial.parse(|section, bases, offset| {
                if let Some(cie) = cies.get(&offset.0) {
                    return Ok(cie.clone());
                }
                let cie = section.cie_from_offset(bases, offset)?;
                cies.insert(offset.0, cie.clone());
                Ok(cie)
            });
            let frame = parsed.ok().and_then(|fde| {
                let lsda = match fde.lsda() {
                    // No table: the field holds zero, whatever it is relative to.
                    Some(gimli::Pointer::Direct(at)) if at == 0 || section.range.contains(&at) => None,
                    Some(gimli::Pointer::Direct(at)) => Some(at),
                    Some(gimli::Pointer::Indirect(_)) => return None,
                    None => None,
                };
                let personality = fde.personality().map(|pointer| match pointer {
                    gimli::Pointer::Direct(at) => ViaAddress::Direct(at),
                    gimli::Pointer::Indirect(at) => ViaAddress::Slot(at),
                });
                let end = fde.initial_address().checked_add(fde.len())?;
                Some(Frame { range: fde.initial_address()..end, personality, lsda })
            });
            match frame {
                Some(frame) => frames.list.push(frame),
                None => frames.damaged = true,
            }
        }
        frames.list.retain(|frame| !frame.range.is_empty());
        frames.list.sort_by_key(|frame| frame.range.start);
        frames
    }

    /// All frames.
    pub fn iter(&self) -> impl Iterator<Item = &Frame> {
        self.list.iter()
    }

    /// The frames of the code in `range`; None if that is not known.
    pub fn over(&self, range: &Range<u64>) -> Option<&[Frame]> {
        let from = self.list.partition_point(|frame| frame.range.start <= range.start).saturating_sub(1);
        let from =
            from + usize::from(self.list.get(from).is_some_and(|frame| frame.range.end <= range.start));
        let to = self.list.partition_point(|frame| frame.range.start < range.end).max(from);
        let found = &self.list[from..to];
        let known = !self.damaged
            || (found.first().is_some_and(|first| first.range.start <= range.start)
                && found.last().is_some_and(|last| last.range.end >= range.end)
                && found.windows(2).all(|two| two[0].range.end == two[1].range.start));
        known.then_some(found)
    }
}

fn section_of<'i, 'a>(image: &'i Image<'a>) -> Option<&'i Section<'a>> {
    image.sections.iter().find(|section| section.name == ".eh_frame")
}

fn has_personality(section: &Section<'_>) -> bool {
    let entries = EhFrame::new(section.data, LittleEndian);
    let bases = BaseAddresses::default().set_eh_frame(section.range.start);
    let mut iter = entries.entries(&bases);
    while let Ok(Some(entry)) = iter.next() {
        if let CieOrFde::Cie(cie) = entry
            && (cie.personality().is_some() || cie.has_lsda())
        {
            return true;
        }
    }
    false
}
