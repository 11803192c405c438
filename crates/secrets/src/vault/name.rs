//! What the name of a secret means in a Vault.

use super::{USUAL_FIELD, client::Fields, fault::Fault};

/// The longest name, in bytes.
const MAX_NAME: usize = 512;

/// A path, and which of its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted<'a> {
    pub(super) path: &'a str,
    pub(super) field: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    /// Reads `PATH` or `PATH#FIELD`; the reason if it is neither.
    pub(super) fn parse(name: &'a str) -> Result<Self, &'static str> {
        let (path, field) = match name.split_once('#') {
            Some((_, "")) => return Err("the name of a field follows the `#`"),
            Some((path, field)) => (path, Some(field)),
            None => (name, None),
        };
        let legal = |part: &str| !matches!(part, "" | "." | "..");
        if name.len() > MAX_NAME || name.chars().any(char::is_control) {
            return Err("a name has up to 512 bytes, and no control characters");
        }
        if !path.split('/').all(legal) {
            return Err(
                "a name is `PATH` or `PATH#FIELD`, and a path is parts with `/` in between",
            );
        }
        Ok(Self { path, field })
    }

    /// `db.password` as the field `password` of `db`.
    pub(super) fn as_field(self) -> Option<Self> {
        let (path, field) = self.path.rsplit_once('.').filter(|_| self.field.is_none())?;
        let shorter = Self { path, field: Some(field) };
        (!field.is_empty() && !path.is_empty() && !path.ends_with('/')).then_some(shorter)
    }

    /// The value among the fields of its path.
    pub(super) fn choose(self, fields: &Fields) -> Result<String, Fault> {
        let chosen = match self.field {
            Some(field) => fields.get(field),
            None if fields.len() == 1 => fields.values().next(),
            None => fields.get(USUAL_FIELD),
        };
        chosen.cloned().ok_or_else(|| Fault::Field {
            wanted: self.field.map(str::to_owned),
            there: fields.keys().cloned().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn chosen(name: &str, pairs: &[(&str, &str)]) -> Result<String, String> {
        let wanted = Wanted::parse(name).unwrap();
        wanted.choose(&fields(pairs)).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_name_is_a_path_and_may_name_a_field() {
        let parsed = |name| Wanted::parse(name).map(|wanted| (wanted.path, wanted.field));
        assert_eq!(parsed("DB"), Ok(("DB", None)));
        assert_eq!(parsed("teams/a/db#user name"), Ok(("teams/a/db", Some("user name"))));
        for name in ["", "/DB", "DB/", "a//b", "..", "a/../b", "./a", "DB#", "#x", "a\nb"] {
            assert!(Wanted::parse(name).is_err(), "{name:?}");
        }
        assert!(Wanted::parse(&"x".repeat(513)).is_err());
    }

    #[test]
    fn the_last_part_of_a_name_with_dots_may_be_a_field() {
        let shorter = |name| Wanted::parse(name).unwrap().as_field();
        assert_eq!(
            shorter("a.db.password").map(|one| (one.path, one.field.unwrap())),
            Some(("a.db", "password"))
        );
        for name in ["db", "db.", "a/.b", ".b", "a.b#c"] {
            assert_eq!(shorter(name), None, "{name}");
        }
    }

    #[test]
    fn without_a_field_the_usual_or_the_only_one_is_meant() {
        assert_eq!(chosen("DB", &[("password", "x")]).unwrap(), "x");
        assert_eq!(chosen("DB", &[("value", "x"), ("user", "y")]).unwrap(), "x");
        assert_eq!(chosen("DB#user", &[("value", "x"), ("user", "y")]).unwrap(), "y");
        let said = chosen("DB", &[("password", "x"), ("user", "y")]).unwrap_err();
        assert!(said.contains("`password`, `user`") && said.contains('#'), "{said}");
        let said = chosen("DB#pasword", &[("password", "x")]).unwrap_err();
        assert!(said.contains("no field `pasword`") && !said.contains('x'), "{said}");
    }

    proptest! {
        #[test]
        fn no_name_panics(name in "\\PC{0,20}", other in "[a./#]{0,8}") {
            for name in [name, other] {
                if let Ok(wanted) = Wanted::parse(&name) {
                    let _ = wanted.as_field();
                }
            }
        }
    }
}
