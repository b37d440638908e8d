//! Tables of methods that live trait objects have: new code must find the same methods in them.

use crate::dwarf::{DebugInfo, DwarfError, TablePlace, VirtualTable};
use crate::image::{Image, Pointer};
use crate::report::{Refusal, RefusalKind};

/// A build: its image and what describes it.
pub(crate) type Build<'b, 'i, 'd> = (&'b Image<'i>, &'b DebugInfo<'d>);

/// Refuses a table whose methods are others, or in another order.
pub(crate) fn check(
    table: &VirtualTable,
    old: Build<'_, '_, '_>,
    new: Build<'_, '_, '_>,
) -> Result<Option<Refusal>, DwarfError> {
    for before in &table.old {
        for after in &table.new {
            if let Some(what) = difference(*before, *after, old, new)? {
                let detail =
                    format!("its table of methods changes and live objects have the old one: {what}");
                let subject = format!("vtable of {}", table.name);
                return Ok(Some(Refusal::new(RefusalKind::TypeLayout, subject, detail)));
            }
        }
    }
    Ok(None)
}

fn difference(
    before: TablePlace,
    after: TablePlace,
    old: Build<'_, '_, '_>,
    new: Build<'_, '_, '_>,
) -> Result<Option<String>, DwarfError> {
    let (was, is) = (before.methods().count(), after.methods().count());
    if was != is {
        return Ok(Some(format!("{is} methods instead of {was}")));
    }
    for (number, (before, after)) in before.methods().zip(after.methods()).enumerate() {
        if let (Some(was), Some(is)) = (method_at(before, old)?, method_at(after, new)?)
            && was != is
        {
            return Ok(Some(format!("method {number} is `{is}` instead of `{was}`")));
        }
    }
    Ok(None)
}

/// The name of the method that an entry holds, without that of the type. Those of the standard library have none, and
/// are the same in both builds.
fn method_at(entry: u64, (image, debug): Build<'_, '_, '_>) -> Result<Option<String>, DwarfError> {
    let address = match image.linkage.pointer_at(entry) {
        Some(Pointer::Address(address)) => *address,
        Some(_) => return Ok(None),
        None => match image.bytes(entry..entry + 8).and_then(|bytes| bytes.try_into().ok()) {
            Some(bytes) => u64::from_le_bytes(bytes),
            None => return Ok(None),
        },
    };
    let name = debug.source_name(address)?;
    // Generic arguments may have paths too.
    let name = name.as_deref().map(|name| name.split('<').next().unwrap_or(name));
    let last = name.and_then(|name| name.rsplit("::").next());
    // Closures are numbered.
    Ok(last.map(|name| name.split('#').next().unwrap_or(name).to_owned()))
}
