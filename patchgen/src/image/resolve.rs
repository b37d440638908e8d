//! What an address refers to.

use super::{Access, FunctionId, Image, ObjectId, Pointer, Slot};

/// What an address in an image refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Referent {
    /// Code of a function.
    Code {
        /// The function.
        function: FunctionId,
        /// Its part: 0 is the body.
        part: usize,
        /// Bytes from the part's start.
        offset: u64,
    },
    /// A PLT stub; `slot` is the GOT slot behind it.
    Stub {
        /// Address of the GOT slot.
        slot: u64,
    },
    /// A GOT slot.
    Slot {
        /// Its address.
        address: u64,
    },
    /// A named object.
    Object {
        /// The object.
        id: ObjectId,
        /// Bytes from its start; its size for a reference to its end. Outside the object only where a relocation
        /// settles that this object is meant.
        offset: i64,
        /// An object that ends exactly here, so that the address may also mean that one's end.
        ends_here: Option<ObjectId>,
        /// A relocation says that this object is meant.
        certain: bool,
    },
    /// Read-only data without a name: a string or a constant.
    Constant {
        /// Its address.
        address: u64,
        /// A named object that ends exactly here.
        ends_here: Option<ObjectId>,
    },
    /// Data without a name that is not constant, or code that belongs to no function.
    Unnamed {
        /// Its address.
        address: u64,
    },
    /// Not in the image.
    Outside {
        /// The address.
        address: u64,
    },
}

/// How far unnamed read-only data reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// At most that many bytes, all of them a string, its NUL and zeros up to the next thing that anybody refers to.
    Text(u64),
    /// At most that many bytes, up to the next thing that anybody refers to.
    AtMost(u64),
}

impl Image<'_> {
    /// What `address` refers to.
    ///
    /// `base` is the address of the symbol in a relocation that the linker kept; it settles readings that the
    /// address alone leaves open.
    pub fn resolve(&self, address: u64, base: Option<u64>) -> Referent {
        if let Some(base) = base.filter(|base| *base != address)
            && let Referent::Object { id, offset, .. } = self.resolve(base, None)
        {
            let offset = offset.wrapping_add(address.wrapping_sub(base) as i64);
            return Referent::Object { id, offset, ends_here: None, certain: true };
        }
        if let Some(id) = self.set_mark_at(address).filter(|_| base.is_none()) {
            return Referent::Object { id, offset: 0, ends_here: None, certain: true };
        }
        let Some(section) = self.section_at(address) else { return self.resolve_edge(address) };
        match section.access {
            Access::Execute => {
                if let Some(slot) = self.linkage.stubs.get(&address) {
                    return Referent::Stub { slot: *slot };
                }
                match self.function_at(address) {
                    Some((function, part, offset)) => Referent::Code { function, part, offset },
                    None => Referent::Unnamed { address },
                }
            }
            _ if section.name == ".got" || section.name == ".got.plt" => match self.object_at(address) {
                // `_GLOBAL_OFFSET_TABLE_` names the table, not what is in it.
                Some((id, 0)) if self.linkage.pointer_at(address).is_none() => {
                    Referent::Object { id, offset: 0, ends_here: None, certain: true }
                }
                _ => Referent::Slot { address },
            },
            access => {
                let ends_here = if base.is_some() { None } else { self.object_ending_at(address) };
                match (self.object_at(address), access) {
                    (Some((id, offset)), _) => {
                        let ends_here = ends_here.filter(|_| offset == 0);
                        Referent::Object { id, offset: offset as i64, ends_here, certain: base.is_some() }
                    }
                    (None, Access::Read) => Referent::Constant { address, ends_here },
                    (None, Access::ReadAfterRelocation)
                        if section.name.starts_with(".data.rel.ro") && !self.is_padding(address) =>
                    {
                        Referent::Constant { address, ends_here }
                    }
                    (None, _) => self.resolve_edge(address),
                }
            }
        }
    }

    /// True if there is nothing but zeros from `address` up to the next object or the section's end.
    fn is_padding(&self, address: u64) -> bool {
        let end = match (self.object_after(address), self.section_at(address)) {
            (Some(next), _) => self.object(next).range.start,
            (None, Some(section)) => section.range.end,
            (None, None) => return true,
        };
        self.linkage.pointers_in(address..end).is_empty()
            && self.bytes(address..end).is_none_or(|bytes| bytes.iter().all(|byte| *byte == 0))
    }

    fn resolve_edge(&self, address: u64) -> Referent {
        match self.object_ending_at(address) {
            Some(id) => {
                let range = &self.object(id).range;
                let offset = (range.end - range.start) as i64;
                Referent::Object { id, offset, ends_here: None, certain: false }
            }
            None if self.section_at(address).is_some() => Referent::Unnamed { address },
            None => Referent::Outside { address },
        }
    }

    /// The innermost object that holds `address`, and the offset in it; a linker-made symbol without a size only
    /// if no object is there.
    pub fn object_at(&self, address: u64) -> Option<(ObjectId, u64)> {
        let after = self.objects.partition_point(|object| object.range.start <= address);
        let mut bare = None;
        for index in (0..after).rev() {
            let object = &self.objects[index];
            if object.range.contains(&address) {
                // Aliases share a range: take the first in order, whatever the address in it.
                let first = self.objects[..index]
                    .iter()
                    .rposition(|other| other.range != object.range)
                    .map_or(0, |position| position + 1);
                return Some((ObjectId(first as u32), address - object.range.start));
            }
            if object.range.start == address {
                bare = Some(ObjectId(index as u32));
            }
            if self.object_reach[index] <= address && object.range.start < address {
                break;
            }
        }
        bare.map(|id| (id, 0))
    }

    /// An object, not empty, whose end is `address`.
    pub(crate) fn object_ending_at(&self, address: u64) -> Option<ObjectId> {
        let index = self.object_ends.partition_point(|(end, _)| *end < address);
        self.object_ends.get(index).filter(|(end, _)| *end == address).map(|(_, id)| *id)
    }

    /// The symbol at `address` by which the linker marks an end of a section (`__start_X`, `__stop_X`; ld,
    /// "Input Section Example").
    fn set_mark_at(&self, address: u64) -> Option<ObjectId> {
        let from = self.set_marks.partition_point(|(at, _)| *at < address);
        self.set_marks.get(from).filter(|(at, _)| *at == address).map(|(_, id)| *id)
    }

    /// The names of the symbols without a size at `address`: places that the linker marks.
    pub fn marks_at(&self, address: u64) -> impl Iterator<Item = &str> {
        let from = self.objects.partition_point(|object| object.range.start < address);
        let here = self.objects[from..].iter().take_while(move |object| object.range.start == address);
        here.filter(|object| object.range.is_empty()).map(|object| object.name.as_str())
    }

    /// The next object behind `address` in its section.
    pub fn object_after(&self, address: u64) -> Option<ObjectId> {
        let index = self.objects.partition_point(|object| object.range.start <= address);
        let next = self.objects[index..].iter().position(|object| !object.range.is_empty())? + index;
        let section = self.section_at(address)?;
        section.range.contains(&self.objects[next].range.start).then_some(ObjectId(next as u32))
    }

    /// What the GOT slot at `address` holds.
    pub fn slot(&self, address: u64) -> Option<Slot> {
        if let Some(pointer) = self.linkage.pointer_at(address) {
            return Some(Slot::Dynamic(pointer.clone()));
        }
        let bytes = self.bytes(address..address.checked_add(8)?)?;
        Some(Slot::Constant(u64::from_le_bytes(bytes.try_into().ok()?)))
    }

    /// A GOT slot that holds `pointer`, the lowest one.
    pub fn slot_for(&self, pointer: &Pointer) -> Option<u64> {
        let found = self.linkage.pointers.iter().find(|(address, other)| {
            other == pointer
                && self.section_at(*address).is_some_and(|section| section.name.starts_with(".got"))
        });
        found.map(|(address, _)| *address)
    }
}
