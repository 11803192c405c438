//! The forms in which a secret value leaks.

use std::{collections::BTreeSet, fmt::Write};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

/// From this many characters on, a value is hidden wherever it occurs. Shorter ones are hidden as
/// whole words only: three characters occur by chance in nearly every text.
pub const MIN_MASKED_CHARS: usize = 4;

/// From this many characters on, a value is in a text because somebody put it there.
pub(super) const MIN_TELLING_CHARS: usize = 12;

/// RFC 3986: all but unreserved characters. Python's `quote` with `safe=""`.
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Python's `quote`, which leaves slashes.
const PATH: AsciiSet = UNRESERVED.remove(b'/');
/// JavaScript's `encodeURIComponent`.
const COMPONENT: AsciiSet =
    UNRESERVED.remove(b'!').remove(b'*').remove(b'\'').remove(b'(').remove(b')');
/// The URL standard's form encoding.
const FORM: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*');
/// The URL standard's user information, where passwords of databases stand.
const USER_INFORMATION: AsciiSet = CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'/')
    .add(b':')
    .add(b';')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'@')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What to look for, each text once.
#[derive(Default)]
pub(super) struct Forms {
    /// Hidden wherever they occur; each has at least [`MIN_MASKED_CHARS`] characters.
    pub(super) anywhere: BTreeSet<String>,
    /// Hidden as whole words.
    pub(super) words: BTreeSet<String>,
    /// Those of `anywhere` that are nowhere by chance.
    pub(super) telling: BTreeSet<String>,
    /// Plain values whose beginning is hidden where a text was cut.
    pub(super) values: BTreeSet<String>,
}

impl Forms {
    /// Adds a value with its forms.
    pub(super) fn add(&mut self, value: &str) {
        let trimmed = value.trim();
        if trimmed.is_empty() {
            return;
        }
        if is_long(value) {
            self.add_long(value);
        }
        if is_long(trimmed) {
            self.add_long(trimmed);
        } else {
            self.words.insert(trimmed.to_owned());
        }
        for line in value.split(['\n', '\r']).map(str::trim).filter(|line| is_long(line)) {
            self.add_long(line);
        }
    }

    fn add_long(&mut self, value: &str) {
        let mut forms = vec![value.to_owned(), value.replace('\'', r"'\''")];
        let json = json_forms(value);
        // What a program says about JSON it puts into JSON.
        forms.extend(json.iter().flat_map(|form| json_forms(form)));
        forms.extend(json);
        forms.extend(literal_forms(value));
        forms.extend(markup_forms(value));
        forms.extend(percent_forms(value));
        forms.extend(base64_forms(value.as_bytes()));
        forms.extend(hex_forms(value.as_bytes()));
        if is_telling(value) {
            self.telling.extend(forms.iter().cloned());
            self.values.insert(value.to_owned());
        }
        self.anywhere.extend(forms);
    }
}

fn is_telling(value: &str) -> bool {
    value.chars().nth(MIN_TELLING_CHARS - 1).is_some()
}

/// As languages print a text that they show as a literal: Python's `repr`, shells' `$'…'`.
fn literal_forms(value: &str) -> [String; 2] {
    let slashes = value.replace('\\', r"\\");
    let lines = slashes.replace('\n', r"\n").replace('\r', r"\r").replace('\t', r"\t");
    [lines.replace('\'', r"\'"), lines]
}

/// As HTML and XML show it.
fn markup_forms(value: &str) -> [String; 4] {
    let text = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let quoted = text.replace('"', "&quot;");
    let decimal = quoted.replace('\'', "&#39;");
    let hexadecimal = quoted.replace('\'', "&#x27;");
    [text, quoted.replace('\'', "&apos;"), decimal, hexadecimal]
}

fn hex_forms(value: &[u8]) -> [String; 2] {
    let lower: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    [lower.to_ascii_uppercase(), lower]
}

fn is_long(value: &str) -> bool {
    value.chars().nth(MIN_MASKED_CHARS - 1).is_some()
}

/// As a JSON string shows it: with the fewest escapes, as Python does by default (ASCII only), as
/// Go does by default (safe inside HTML), as PHP does (ASCII only, slashes escaped).
fn json_forms(value: &str) -> [String; 4] {
    let quoted = serde_json::Value::from(value).to_string();
    let minimal = quoted[1..quoted.len() - 1].to_owned();
    let ascii = escape(&minimal, |c| !c.is_ascii());
    let html = escape(&minimal, |c| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}'));
    let slashes = ascii.replace('/', r"\/");
    [minimal, ascii, html, slashes]
}

/// `text` with `\uXXXX` for the characters that `chosen` names.
fn escape(text: &str, chosen: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if chosen(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(escaped, "\\u{unit:04x}").expect("writing to a String never fails");
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// As it stands in URLs and form bodies, with upper- and lower-case digits.
fn percent_forms(value: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for set in [NON_ALPHANUMERIC, &UNRESERVED, &PATH, &COMPONENT, &FORM, &USER_INFORMATION] {
        let upper = utf8_percent_encode(value, set).to_string();
        let lower = with_lower_case_digits(&upper);
        for form in [upper, lower] {
            forms.push(form.replace("%20", "+"));
            forms.push(form);
        }
    }
    forms
}

/// Percent-encoded text with `%c3` for `%C3`; what was not encoded stays as it is.
fn with_lower_case_digits(encoded: &str) -> String {
    let mut digits_left = 0;
    encoded
        .chars()
        .map(|character| {
            if digits_left > 0 {
                digits_left -= 1;
                return character.to_ascii_lowercase();
            }
            if character == '%' {
                digits_left = 2;
            }
            character
        })
        .collect()
}

/// As base64 shows it, in the standard and the URL alphabet, without padding, wherever the value
/// begins in the encoded bytes: three bytes are four characters, so there are three ways to lie
/// across them. Characters that also carry bits of a neighbour cannot be known and are left out.
fn base64_forms(value: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    // Bytes in front, and how many characters carry bits of them.
    for (before, shared) in [(0, 0), (1, 2), (2, 3)] {
        let bytes = [&vec![0; before], value].concat();
        let encoded = STANDARD_NO_PAD.encode(&bytes);
        let complete = bytes.len() * 8 / 6;
        forms.push(encoded[shared..complete].to_owned());
        // The end of what was encoded: the last character has no neighbour.
        forms.push(encoded[shared..].to_owned());
    }
    let url: Vec<_> = forms.iter().map(|form| form.replace('+', "-").replace('/', "_")).collect();
    forms.extend(url);
    forms
}
