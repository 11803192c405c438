//! What can be said of a line that is not whole.

use flexcore_singer::{members, unquote};

/// How much of a line is searched for its stream: it stands before the record in all but odd taps.
const BEGINNING: usize = 64 * 1024;

/// The stream that the beginning of a message names, if it names it before its large member.
pub(super) fn stream_of_beginning(line: &[u8]) -> Option<String> {
    let beginning = &line[..line.len().min(BEGINNING)];
    let text = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&beginning[..error.valid_up_to()]).ok()?,
    };
    members(text)
        .map_while(Result::ok)
        .find(|member| member.key == "stream")
        .and_then(|member| unquote(member.value).map(Into::into))
}

/// Whether the braces and brackets of an object are all closed at its end: then it was not cut off.
/// Says nothing else about its soundness, so that what a target can read passes as it is.
pub(super) fn is_whole_object(line: &[u8]) -> bool {
    let mut depth = 0_u64;
    let mut bytes = line.trim_ascii().iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => match depth.checked_sub(1) {
                Some(0) => return bytes.as_slice().is_empty(),
                Some(outer) => depth = outer,
                None => return false,
            },
            b'"' if !skip_string(&mut bytes) => return false,
            _ => {}
        }
    }
    false
}

/// Moves behind the closing quote; whether there is one.
fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) -> bool {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return true,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_message_names_its_stream() {
        let stream = |line: &[u8]| stream_of_beginning(line);
        let line = br#"{"type":"RECORD","stream":"a\"b","record":{"x":"aaaa"#;
        assert_eq!(stream(line).as_deref(), Some("a\"b"));
        assert_eq!(stream(b"{\"stream\":\"a\",\"record\":{\"x\":\"\xff").as_deref(), Some("a"));
        assert_eq!(stream(br#"{"record":{"stream":"no"},"stre"#), None);
        assert_eq!(stream(b"aaaaaaaa"), None);
    }

    #[test]
    fn no_cut_of_an_object_is_whole() {
        let object = br#"{"type":"STATE","value":{"a":["}",{"b\\":NaN}],"c":"\"}"}}"#;
        assert!(is_whole_object(object));
        for length in 0..object.len() {
            assert!(!is_whole_object(&object[..length]), "{length}");
        }
    }

    #[test]
    fn text_behind_an_object_makes_it_something_else() {
        assert!(is_whole_object(b" {} "));
        assert!(!is_whole_object(b"{} {"));
        assert!(!is_whole_object(b"}{"));
    }
}
