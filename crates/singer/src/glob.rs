//! The glob patterns of Python's `fnmatch`, which Meltano's rules are written in.

/// A pattern: `*` any text (dots and slashes too), `?` any character, `[abc]`, `[a-z]`, `[!a]`.
///
/// As in Python: case matters, and a `[` without its `]` is an ordinary character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    source: String,
    tokens: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    AnyText,
    AnyCharacter,
    Literal(char),
    Set { negated: bool, ranges: Vec<(char, char)> },
}

impl Glob {
    /// Reads a pattern; every text is one.
    pub fn new(pattern: &str) -> Self {
        let characters: Vec<char> = pattern.chars().collect();
        let mut tokens = Vec::new();
        let mut at = 0;
        while let Some(&character) = characters.get(at) {
            at += 1;
            match character {
                '*' if tokens.last() == Some(&Token::AnyText) => {}
                '*' => tokens.push(Token::AnyText),
                '?' => tokens.push(Token::AnyCharacter),
                '[' => {
                    if let Some((set, length)) = set(&characters[at..]) {
                        tokens.push(set);
                        at += length;
                    } else {
                        tokens.push(Token::Literal('['));
                    }
                }
                other => tokens.push(Token::Literal(other)),
            }
        }
        Self { source: pattern.to_owned(), tokens }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether the pattern has no special characters, so that it names one thing.
    pub fn is_literal(&self) -> bool {
        self.tokens.iter().all(|token| matches!(token, Token::Literal(_)))
    }

    /// Whether the whole of `text` fits the pattern.
    ///
    /// Linear in text times pattern at worst: only the last `*` is ever tried again.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut token, mut at) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        while at < text.len() {
            match self.tokens.get(token) {
                Some(Token::AnyText) => {
                    token += 1;
                    retry = Some((token, at));
                    continue;
                }
                Some(single) if single.fits(text[at]) => {
                    token += 1;
                    at += 1;
                    continue;
                }
                _ => {}
            }
            let Some((after_star, covered)) = retry else { return false };
            token = after_star;
            at = covered + 1;
            retry = Some((after_star, at));
        }
        self.tokens[token..].iter().all(|token| *token == Token::AnyText)
    }
}

impl Token {
    fn fits(&self, character: char) -> bool {
        match self {
            Self::AnyText => false,
            Self::AnyCharacter => true,
            Self::Literal(literal) => *literal == character,
            Self::Set { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != *negated
            }
        }
    }
}

/// The set that begins after `[`, and how many characters it takes with its `]`.
fn set(characters: &[char]) -> Option<(Token, usize)> {
    let negated = characters.first() == Some(&'!');
    let start = usize::from(negated);
    // A `]` that comes first stands for itself.
    let length = characters.get(start + 1..)?.iter().position(|c| *c == ']')? + 1;
    let inner = &characters[start..start + length];
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < inner.len() {
        if at + 2 < inner.len() && inner[at + 1] == '-' {
            ranges.push((inner[at], inner[at + 2]));
            at += 3;
        } else {
            ranges.push((inner[at], inner[at]));
            at += 1;
        }
    }
    Some((Token::Set { negated, ranges }, start + length + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_python_says() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "a.b/c", true),
            ("a*", "abc", true),
            ("*-orders", "public-orders", true),
            ("*-orders", "public-orders-x", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[!]]", "a", true),
            ("[a", "[a", true),
            ("a**b", "axyb", true),
            ("*a*b*c*", "xxaxxbxxcxx", true),
            ("Orders", "orders", false),
            ("é*", "été", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn hostile_patterns_stay_fast() {
        let pattern = "*a".repeat(200);
        assert!(!Glob::new(&pattern).matches(&"a".repeat(199)));
        assert!(!Glob::new(&format!("{pattern}b")).matches(&"a".repeat(5_000)));
    }
}
