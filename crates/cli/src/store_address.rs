//! Where executions are recorded: a folder, or a database.

use std::fmt;

/// The store of a [`Place`](crate::Place).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreAddress {
    /// The embedded store, in the state folder of the place.
    Folder,
    /// A PostgreSQL database, shared with other folders and machines. The state folder keeps what
    /// belongs to this machine: logs, artifacts, work folders, locks.
    Database(DatabaseUrl),
}

/// The URL of a database. It may hold a password: what is shown of it, as text or for debugging,
/// has `***` in its place.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// A text that begins as such a URL does; `None` for anything else. Whether the rest of it is
    /// right shows when it is used.
    pub fn parse(text: &str) -> Option<Self> {
        let known = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
        known.then(|| Self(text.to_owned()))
    }

    /// The whole URL, for whoever connects.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it holds a password.
    pub fn has_password(&self) -> bool {
        masked_url(&self.0) != self.0
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&masked_url(&self.0))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DatabaseUrl({self})")
    }
}

/// A store as somebody typed it: a path or a URL. It is not shown with the password that a URL may
/// hold.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StoreText(String);

impl StoreText {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for StoreText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for StoreText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = if self.0.contains("://") { &masked_url(&self.0) } else { &self.0 };
        formatter.write_str(shown)
    }
}

impl fmt::Debug for StoreText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "StoreText({self})")
    }
}

/// A URL without its password. Passwords are found generously: one with characters that should have
/// been escaped may hide more than itself, and never less.
pub fn masked_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "***".to_owned() };
    // An `@` that is not escaped can only be missing from what stands before it.
    let (login, place) = match rest.rsplit_once('@') {
        Some((login, place)) => (Some(login), place),
        None => (None, rest),
    };
    let login = login.map(|login| match login.split_once(':') {
        Some((user, _)) => format!("{user}:***@"),
        None => format!("{login}@"),
    });
    let (place, query) = place.split_once('?').unwrap_or((place, ""));
    let pairs: Vec<String> =
        query.split('&').filter(|pair| !pair.is_empty()).map(masked_pair).collect();
    let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
    format!("{scheme}://{}{place}{query}", login.unwrap_or_default())
}

/// Only settings that are known to be harmless are shown.
fn masked_pair(pair: &str) -> String {
    let name = pair.split_once('=').map_or(pair, |(name, _)| name);
    let harmless = [
        "sslmode",
        "sslrootcert",
        "host",
        "hostaddr",
        "port",
        "dbname",
        "user",
        "connect_timeout",
        "target_session_attrs",
    ];
    if harmless.contains(&name) { pair.to_owned() } else { format!("{name}=***") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("postgres://u@h/d", "postgres://u@h/d"),
            ("postgres://h:5433/d?sslmode=require", "postgres://h:5433/d?sslmode=require"),
            ("postgres://u:hush@h/d?sslmode=require", "postgres://u:***@h/d?sslmode=require"),
            ("postgresql://u:hu@sh/h:u@h:1/d", "postgresql://u:***@h:1/d"),
            ("postgres://u:hu?sh@h/d", "postgres://u:***@h/d"),
            ("postgres://h/d?user=u&password=hush", "postgres://h/d?user=u&password=***"),
            ("postgres://h/d?p%61ssword=hush", "postgres://h/d?p%61ssword=***"),
        ] {
            let url = DatabaseUrl::parse(url).unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), format!("DatabaseUrl({shown})"));
            assert_eq!(url.has_password(), shown.contains("***"));
        }
    }

    #[test]
    fn only_urls_of_a_database_we_know_are_one() {
        for text in ["postgres", "sqlite:x", "mysql://h/d", "", "postgres:/h"] {
            assert_eq!(DatabaseUrl::parse(text), None, "{text}");
        }
    }
}
