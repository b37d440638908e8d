//! What Rust's formatting macros make of their texts, by which a constant tells its own end.

/// The length in bytes of the template at the start of `bytes` (rustc 1.93 and later, `core::fmt::Arguments`): pieces of
/// text behind their length, places of arguments with their options, and a zero at the end.
pub(crate) fn template_len(bytes: &[u8]) -> Option<usize> {
    /// The length stands in two bytes behind it.
    const LONG: u8 = 0x80;
    /// The place of an argument; the other bits tell which options follow.
    const ARGUMENT: u8 = 0xc0;
    let mut at = 0;
    loop {
        let first = *bytes.get(at)?;
        at += 1;
        let text = match first {
            0 => return (at > 1).then_some(at),
            1..LONG => usize::from(first),
            LONG => {
                let len = bytes.get(at..at + 2)?;
                at += 2;
                usize::from(u16::from_le_bytes([len[0], len[1]]))
            }
            ARGUMENT.. => {
                // Flags and fill are four bytes; width, precision and number two each.
                let sizes = [4, 2, 2, 2];
                at +=
                    (0..4).filter(|bit| first & (1 << bit) != 0).map(|bit: usize| sizes[bit]).sum::<usize>();
                continue;
            }
            _ => return None,
        };
        let text = std::str::from_utf8(bytes.get(at..at + text)?).ok()?;
        // Tables of numbers have zeros.
        if text.contains('\0') {
            return None;
        }
        at += text.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_end_themselves() {
        assert_eq!(template_len(b"\x01a\xc0\x02: \xc0\0next"), Some(8));
        assert_eq!(template_len(b"\xc3\x20\0\0\0\x05\0\0"), Some(8));
        assert_eq!(template_len(b"\x05abc"), None);
        assert_eq!(template_len(b"\0"), None);
        assert_eq!(template_len(b"\x0b\0\0\0\x0c\0\0\0\x0d\0\0\0\0"), None);
    }
}
