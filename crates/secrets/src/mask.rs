//! The mask: known secret values, found in one pass and replaced.

mod forms;

use std::{
    borrow::Cow,
    collections::BTreeSet,
    fmt,
    ops::Range,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use flexcore_ports::Mask;

use forms::Forms;
pub use forms::MIN_MASKED_CHARS;

/// What stands in place of a secret.
pub const MASK: &str = "***";

/// A DFA is the fastest automaton and the largest; above this many bytes of patterns its tables
/// would take tens of megabytes, and a compact automaton serves.
const MAX_DFA_PATTERN_BYTES: usize = 16 * 1024;

/// Hides every value that it was told of, and the forms in which that value leaks.
///
/// * A value of [`MIN_MASKED_CHARS`] characters or more is hidden wherever it occurs, also inside
///   words, also without the white space around it, and line by line if it has several (lines
///   shorter than that are left alone: the `}` of a JSON key file is no secret).
/// * Its JSON-escaped (also twice), percent-encoded, base64, hexadecimal and shell-quoted forms are
///   hidden too, and those of HTML and of literals; base64 also where the value is only part of what
///   was encoded, as in a basic authorisation header.
/// * Where a text was cut in the middle of a value, what it ends with is hidden.
/// * A shorter value is hidden only where it stands as a whole word, in its plain form. Hiding
///   each `a` of a text would spoil the text and give the secret away.
/// * White space alone is never hidden.
///
/// Secrets that overlap in a text are hidden together. One mask is shared by everything that
/// writes: telling it of a value takes a while (it rebuilds its automaton), applying it does not
/// wait for that.
#[derive(Default)]
pub struct SecretMask {
    known: Mutex<Known>,
    matcher: RwLock<Arc<Matcher>>,
}

#[derive(Default)]
struct Known {
    values: BTreeSet<String>,
    forms: Forms,
}

/// How much of a value has to stand at the end of a text to be taken for its beginning.
const MIN_CUT_CHARS: usize = 8;

impl SecretMask {
    /// Hides `value` from now on; when this returns, every later [`Mask::apply`] does.
    pub fn hide(&self, value: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.values.insert(value.to_owned()) {
            return;
        }
        known.forms.add(value);
        let matcher = Arc::new(Matcher::new(&known.forms));
        *self.matcher.write().unwrap_or_else(PoisonError::into_inner) = matcher;
    }
}

impl Mask for SecretMask {
    fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let matcher = Arc::clone(&self.matcher.read().unwrap_or_else(PoisonError::into_inner));
        matcher.apply(text)
    }

    fn finds(&self, text: &str) -> bool {
        let matcher = Arc::clone(&self.matcher.read().unwrap_or_else(PoisonError::into_inner));
        matcher.finds(text)
    }
}

impl fmt::Debug for SecretMask {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        formatter
            .debug_struct("SecretMask")
            .field("values", &known.values.len())
            .finish_non_exhaustive()
    }
}

/// All forms of all values, ready to be searched for.
#[derive(Default)]
enum Matcher {
    /// Nothing is secret yet.
    #[default]
    Nothing,
    Patterns {
        automaton: AhoCorasick,
        /// Patterns from this number on count only as whole words.
        first_word: usize,
        /// By number of pattern: whether it is nowhere by chance.
        telling: Vec<bool>,
        /// Values that are looked for at the end of a text that was cut.
        values: Vec<String>,
    },
    /// The secrets outgrew what an automaton can hold (gigabytes): no text may pass.
    Everything,
}

impl Matcher {
    fn new(forms: &Forms) -> Self {
        let patterns: Vec<&str> =
            forms.anywhere.iter().chain(&forms.words).map(String::as_str).collect();
        if patterns.is_empty() {
            return Self::Nothing;
        }
        let bytes: usize = patterns.iter().map(|pattern| pattern.len()).sum();
        let kind = (bytes > MAX_DFA_PATTERN_BYTES).then_some(AhoCorasickKind::ContiguousNFA);
        match AhoCorasick::builder().kind(kind).build(&patterns) {
            Ok(automaton) => Self::Patterns {
                automaton,
                first_word: forms.anywhere.len(),
                telling: patterns.iter().map(|one| forms.telling.contains(*one)).collect(),
                values: forms.values.iter().cloned().collect(),
            },
            Err(_) => Self::Everything,
        }
    }

    fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self {
            Self::Nothing => Cow::Borrowed(text),
            Self::Everything => Cow::Borrowed(MASK),
            Self::Patterns { automaton, first_word, values, .. } => {
                let masked = if automaton.is_match(text) {
                    hide(automaton, *first_word, text)
                } else {
                    Cow::Borrowed(text)
                };
                match beginning_at_end(values, &masked) {
                    Some(secret) => Cow::Owned(replace(&masked, &[secret])),
                    None => masked,
                }
            }
        }
    }

    fn finds(&self, text: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Patterns { automaton, telling, .. } => automaton
                .find_overlapping_iter(text)
                .any(|one| telling.get(one.pattern().as_usize()).is_some_and(|telling| *telling)),
        }
    }
}

/// Where a text ends in the beginning of a value, as one does that was cut there.
fn beginning_at_end(values: &[String], text: &str) -> Option<Range<usize>> {
    let end = text.trim_end_matches('…').len();
    let longest = |value: &String| {
        let beginnings = value.char_indices().map(|(at, _)| at).skip(MIN_CUT_CHARS);
        beginnings.filter(|at| text[..end].ends_with(&value[..*at])).last()
    };
    let length = values.iter().filter_map(longest).max()?;
    Some(end - length..end)
}

/// `text` without secrets.
///
/// A mask can complete a secret that itself holds asterisks (`**x`, hidden in `…*x`), so this goes
/// on until nothing is found. Each round but the first replaces at least four bytes by three, so it
/// ends; words, which may be shorter than the mask, take part in the first round only.
fn hide<'a>(automaton: &AhoCorasick, first_word: usize, text: &'a str) -> Cow<'a, str> {
    let mut secrets = find_secrets(automaton, first_word, text, true);
    if secrets.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut masked = replace(text, &secrets);
    loop {
        secrets = find_secrets(automaton, first_word, &masked, false);
        if secrets.is_empty() {
            return Cow::Owned(masked);
        }
        masked = replace(&masked, &secrets);
    }
}

/// Where secrets are in `text`: in order, and apart from each other.
fn find_secrets(
    automaton: &AhoCorasick,
    first_word: usize,
    text: &str,
    words: bool,
) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = automaton
        .find_overlapping_iter(text)
        .filter(|one| one.pattern().as_usize() < first_word || words && is_word(text, one.range()))
        .map(|one| one.range())
        .collect();
    found.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(found.len());
    for range in found {
        match merged.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// Whether no letter, digit or `_` touches `range` from outside.
fn is_word(text: &str, range: Range<usize>) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    !text[..range.start].ends_with(joins) && !text[range.end..].starts_with(joins)
}

fn replace(text: &str, secrets: &[Range<usize>]) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut shown = 0;
    for secret in secrets {
        masked.push_str(&text[shown..secret.start]);
        masked.push_str(MASK);
        shown = secret.end;
    }
    masked.push_str(&text[shown..]);
    masked
}

#[cfg(test)]
mod tests;
