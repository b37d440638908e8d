//! The frames that the unwinder knows: `.eh_frame` (LSB Core, "Exception Frames").

use super::{Image, Section, ViaAddress};
use gimli::{
    BaseAddresses, CieOrFde, CommonInformationEntry, EhFrame, EndianSlice, LittleEndian, Reader as _,
    UnwindSection,
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
    /// Offset of the entry (FDE) in the section.
    entry: usize,
}

/// How the unwinder finds the caller of a frame.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rules {
    /// What frames of the same kind have in common.
    pub common: CommonRules,
    /// Instructions of this frame.
    pub instructions: Vec<u8>,
}

/// What frames of the same kind have in common, as in a CIE.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommonRules {
    /// Version, and the two alignment factors and the return address register as they are encoded.
    pub version: u8,
    /// What advances are multiplied with.
    pub code_alignment: u64,
    /// What offsets are multiplied with.
    pub data_alignment: i64,
    /// The register that holds the return address.
    pub return_address: u16,
    /// True for the frames that the kernel makes for signal handlers.
    pub signal: bool,
    /// Instructions that come first.
    pub instructions: Vec<u8>,
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
                let entry = fde.offset();
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
                Some(Frame { range: fde.initial_address()..end, personality, lsda, entry })
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

/// The rules of a frame of `image`, with instructions that hold at any address. An error says why there are none.
pub fn rules(image: &Image<'_>, frame: &Frame) -> Result<Rules, &'static str> {
    const DAMAGED: &str = "its unwind table cannot be read";
    let section = section_of(image).ok_or(DAMAGED)?;
    let entries = EhFrame::new(section.data, LittleEndian);
    let bases = BaseAddresses::default().set_eh_frame(section.range.start);
    let offset = gimli::EhFrameOffset(frame.entry);
    let entry = entries.fde_from_offset(&bases, offset, EhFrame::cie_from_offset).map_err(|_| DAMAGED)?;
    let cie = entry.cie();
    let initial = holds_anywhere(&entries, &bases, cie.instructions(&entries, &bases), cie.encoding())?;
    let own = holds_anywhere(&entries, &bases, entry.instructions(&entries, &bases), cie.encoding())?;
    if !initial || !own {
        return Err("its unwind table holds addresses");
    }
    let word = |offset: usize| -> Option<usize> {
        let bytes = section.data.get(offset..offset + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    // The short form of the length only: the long one is for sections that no unwinder reads.
    let whole = |offset: usize, len: usize| {
        let stated = word(offset).filter(|stated| *stated == len && *stated < u32::MAX as usize)?;
        section.data.get(offset + 4..offset + 4 + stated)
    };
    let common = whole(cie.offset(), cie.entry_len()).and_then(|body| {
        let mut rest = EndianSlice::new(body, LittleEndian);
        rest.skip(4).ok()?;
        let version = rest.read_u8().ok()?;
        let augmentation = rest.read_null_terminated_slice().ok()?;
        let return_address = cie.return_address_register().0;
        rest.read_uleb128().ok()?;
        rest.read_sleb128().ok()?;
        match version {
            1 => drop(rest.read_u8().ok()?),
            3 => drop(rest.read_uleb128().ok()?),
            _ => return None,
        }
        match augmentation.slice() {
            [] => {}
            [b'z', letters @ ..] if letters.iter().all(|letter| b"PLRS".contains(letter)) => {
                let len = rest.read_uleb128().ok()? as usize;
                rest.skip(len).ok()?;
            }
            _ => return None,
        }
        Some(CommonRules {
            version,
            code_alignment: cie.code_alignment_factor(),
            data_alignment: cie.data_alignment_factor(),
            return_address,
            signal: cie.is_signal_trampoline(),
            instructions: rest.slice().to_vec(),
        })
    });
    let instructions = whole(entry.offset(), entry.entry_len()).and_then(|body| {
        let mut rest = EndianSlice::new(body, LittleEndian);
        rest.skip(4).ok()?;
        let encoding = cie.fde_address_encoding().unwrap_or(gimli::DW_EH_PE_absptr);
        let size = match encoding.format() {
            gimli::DW_EH_PE_absptr | gimli::DW_EH_PE_udata8 | gimli::DW_EH_PE_sdata8 => 8,
            gimli::DW_EH_PE_udata4 | gimli::DW_EH_PE_sdata4 => 4,
            gimli::DW_EH_PE_udata2 | gimli::DW_EH_PE_sdata2 => 2,
            _ => return None,
        };
        rest.skip(2 * size).ok()?;
        if cie.augmentation().is_some() {
            let len = rest.read_uleb128().ok()? as usize;
            rest.skip(len).ok()?;
        }
        Some(rest.slice().to_vec())
    });
    let (common, instructions) = common.zip(instructions).ok_or(DAMAGED)?;
    Ok(Rules { common, instructions })
}

/// True if no instruction depends on where the code or the image is.
fn holds_anywhere(
    section: &EhFrame<Reader<'_>>,
    _: &BaseAddresses,
    mut instructions: gimli::CallFrameInstructionIter<'_, Reader<'_>>,
    encoding: gimli::Encoding,
) -> Result<bool, &'static str> {
    use gimli::CallFrameInstruction as Instruction;
    const DAMAGED: &str = "its unwind table cannot be read";
    while let Some(instruction) = instructions.next().map_err(|_| DAMAGED)? {
        let expression = match instruction {
            Instruction::SetLoc { .. } => return Ok(false),
            Instruction::DefCfaExpression { expression }
            | Instruction::Expression { expression, .. }
            | Instruction::ValExpression { expression, .. } => expression,
            _ => continue,
        };
        let mut operations = expression.get(section).map_err(|_| DAMAGED)?.operations(encoding);
        while let Some(operation) = operations.next().map_err(|_| DAMAGED)? {
            use gimli::Operation;
            let plain = matches!(
                operation,
                Operation::Deref { .. }
                    | Operation::Drop
                    | Operation::Pick { .. }
                    | Operation::Swap
                    | Operation::Rot
                    | Operation::Abs
                    | Operation::And
                    | Operation::Div
                    | Operation::Minus
                    | Operation::Mod
                    | Operation::Mul
                    | Operation::Neg
                    | Operation::Not
                    | Operation::Or
                    | Operation::Plus
                    | Operation::PlusConstant { .. }
                    | Operation::Shl
                    | Operation::Shr
                    | Operation::Shra
                    | Operation::Xor
                    | Operation::Bra { .. }
                    | Operation::Eq
                    | Operation::Ge
                    | Operation::Gt
                    | Operation::Le
                    | Operation::Lt
                    | Operation::Ne
                    | Operation::Skip { .. }
                    | Operation::UnsignedConstant { .. }
                    | Operation::SignedConstant { .. }
                    | Operation::RegisterOffset { .. }
                    | Operation::CallFrameCFA
                    | Operation::Nop
            );
            if !plain {
                return Ok(false);
            }
        }
    }
    Ok(true)
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
