//! JSON strings to text and back, at the speed that the connectors need.

use std::borrow::Cow;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// How many leading bytes may stand in a JSON string as they are: up to the first quote,
/// backslash or control character.
///
/// Eight bytes at a time: the classic "has a byte less than n" and "has a zero byte" tests on a
/// 64-bit word (Warren, Hacker's Delight, 6-1). A borrow can only mark bytes above a true hit, so
/// the lowest marked byte is exact.
#[inline]
pub(crate) fn plain_prefix(bytes: &[u8]) -> usize {
    let mut at = 0;
    let (words, _) = bytes.as_chunks::<8>();
    for chunk in words {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = word ^ (ONES * u64::from(b'"'));
        let quote = quote.wrapping_sub(ONES) & !quote;
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let backslash = backslash.wrapping_sub(ONES) & !backslash;
        let hits = (control | quote | backslash) & HIGHS;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + bytes[at..].iter().take_while(|byte| is_plain(**byte)).count()
}

#[inline]
fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\'
}

/// Appends `text` as a JSON string, quotes included.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    write_string_bytes(out, text.as_bytes());
}

/// Appends UTF-8 `bytes` as a JSON string, quotes included.
///
/// The caller has checked that the bytes are UTF-8; they are written as they are.
#[inline]
pub fn write_string_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let mut rest = bytes;
    loop {
        let plain = plain_prefix(rest);
        out.extend_from_slice(&rest[..plain]);
        match rest.get(plain) {
            None => break,
            Some(byte) => write_escape(out, *byte),
        }
        rest = &rest[plain + 1..];
    }
    out.push(b'"');
}

#[cold]
fn write_escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x0c => out.extend_from_slice(b"\\f"),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        }
    }
}

/// The text of a JSON string literal (quotes included), or `None` if it is not one.
///
/// Borrows where there is nothing to unescape. Half of a surrogate pair is not text.
pub fn unquote(literal: &str) -> Option<Cow<'_, str>> {
    let inner = literal.strip_prefix('"')?.strip_suffix('"')?;
    if plain_prefix(inner.as_bytes()) == inner.len() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(literal).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn written_strings_read_back_by_another_parser(text in any::<String>()) {
            let mut out = Vec::new();
            write_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text.clone());
            prop_assert_eq!(unquote(std::str::from_utf8(&out).unwrap()).unwrap(), text);
        }

        #[test]
        fn the_wide_search_agrees_with_the_byte_by_byte_one(bytes in any::<Vec<u8>>()) {
            let slow = bytes.iter().take_while(|byte| is_plain(**byte)).count();
            prop_assert_eq!(plain_prefix(&bytes), slow);
        }
    }

    #[test]
    fn every_single_byte_is_classified_at_every_offset() {
        for offset in 0..17 {
            for byte in 0..=255_u8 {
                let mut bytes = vec![b'x'; 17];
                bytes[offset] = byte;
                let expected = if is_plain(byte) { 17 } else { offset };
                assert_eq!(plain_prefix(&bytes), expected, "byte {byte} at {offset}");
            }
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_not_text() {
        assert_eq!(unquote(r#""\ud800""#), None);
        assert_eq!(unquote("bare"), None);
        assert_eq!(unquote("\""), None);
    }
}
