//! What functions of the C library do with addresses that they are given.

/// What a function does with an address that it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    /// It reads there and forgets it.
    Reads,
    /// As `Reads`, but for the conversion `%p`, which writes the address out.
    Prints,
    /// It returns the address or a place behind it.
    Finds,
    /// It returns its first argument and forgets the others.
    Copies,
    /// It may keep it.
    Unknown,
}

/// Library functions that neither keep nor return an address they get.
const READERS: [&str; 20] = [
    "memcmp",
    "strcmp",
    "strncmp",
    "strcasecmp",
    "strncasecmp",
    "strlen",
    "strnlen",
    "strspn",
    "strcspn",
    "atoi",
    "puts",
    "fputs",
    "fwrite",
    "write",
    "send",
    "free",
    "__assert_fail",
    "__stack_chk_fail",
    "abort",
    "exit",
];

/// Those that format text.
const PRINTERS: [&str; 12] = [
    "printf",
    "fprintf",
    "sprintf",
    "snprintf",
    "vsnprintf",
    "__printf_chk",
    "__fprintf_chk",
    "__sprintf_chk",
    "__snprintf_chk",
    "__vsnprintf_chk",
    "syslog",
    "__syslog_chk",
];

/// Those that return their first argument or a place in it.
const FINDERS: [&str; 12] = [
    "memchr",
    "memrchr",
    "strchr",
    "strrchr",
    "strstr",
    "strpbrk",
    "rawmemchr",
    "strchrnul",
    "index",
    "memmem",
    "strcasestr",
    "bsearch",
];

/// Those that copy from their second argument and return the first.
const COPIERS: [&str; 10] = [
    "memcpy",
    "memmove",
    "strcpy",
    "strncpy",
    "strcat",
    "stpcpy",
    "mempcpy",
    "__memcpy_chk",
    "__strcpy_chk",
    "__memmove_chk",
];

/// What the library function `name` does with an address that it is given.
pub(super) fn habit(name: &str) -> Habit {
    let is = |names: &[&str]| names.contains(&name);
    if is(&READERS) {
        Habit::Reads
    } else if is(&PRINTERS) {
        Habit::Prints
    } else if is(&FINDERS) {
        Habit::Finds
    } else if is(&COPIERS) {
        Habit::Copies
    } else {
        Habit::Unknown
    }
}

/// True if the format `text` has a conversion that writes an address out (C11, 7.21.6.1).
pub(super) fn prints_addresses(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        rest = &rest[at + 1..];
        let plain = |byte: &u8| byte.is_ascii_digit() || b"#0- +'.*$hlLjzt".contains(byte);
        match rest.iter().position(|byte| !plain(byte)) {
            Some(end) if rest[end] == b'p' => return true,
            Some(end) => rest = &rest[end + 1..],
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{Habit, habit, prints_addresses};

    #[test]
    fn conversions_that_write_an_address() {
        assert!(prints_addresses(b"at %p"));
        assert!(prints_addresses(b"%d%%%-20p"));
        assert!(!prints_addresses(b"50%% p %d %s"));
        assert!(!prints_addresses(b"%"));
    }

    #[test]
    fn habits_by_name() {
        assert_eq!(habit("strlen"), Habit::Reads);
        assert_eq!(habit("strtol"), Habit::Unknown);
        assert_eq!(habit("strchr"), Habit::Finds);
    }
}
