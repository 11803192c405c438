//! How to reach the database.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

use crate::{OpenError, tls::Trust};

/// What a store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// To read and append. Several processes may, on any number of machines.
    Writer,
    /// To read only; also on a standby.
    Reader,
}

/// How to reach the database, and for what.
#[derive(Clone)]
pub struct PostgresOptions {
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…&sslrootcert=FILE`.
    pub url: String,
    /// What for.
    pub role: Role,
    /// How long an append whose connection was lost is tried again before its caller is told that
    /// its outcome is unknown.
    pub append_deadline: Duration,
    /// How many connections are kept for reading.
    pub readers: usize,
    /// How many connections append. With two, one batch is written while the next one is sent.
    pub lanes: usize,
}

impl PostgresOptions {
    /// The usual options.
    pub fn new(url: impl Into<String>, role: Role) -> Self {
        Self {
            url: url.into(),
            role,
            append_deadline: Duration::from_secs(30),
            readers: 4,
            lanes: 2,
        }
    }
}

// Not derived: a URL may hold a password.
impl fmt::Debug for PostgresOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PostgresOptions")
            .field("url", &hide_password(&self.url))
            .field("role", &self.role)
            .field("append_deadline", &self.append_deadline)
            .field("readers", &self.readers)
            .field("lanes", &self.lanes)
            .finish()
    }
}

/// A URL as it may be shown: the password is `***`.
pub fn hide_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        // Not a URL: nobody knows where in it a password is.
        return "***".to_owned();
    };
    // A password may hold an unescaped `@`, `/` or `?`; what follows the last `@` is the host.
    let (login, rest) = match rest.rsplit_once('@') {
        None => (String::new(), rest),
        Some((login, rest)) => match login.split_once(':') {
            None => (format!("{login}@"), rest),
            Some((user, _)) => (format!("{user}:***@"), rest),
        },
    };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let query: Vec<_> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| if pair.starts_with("password") { "password=***" } else { pair })
        .collect();
    let separator = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{login}{place}{separator}{}", query.join("&"))
}

/// A database and how to connect to it.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) config: Config,
    pub(crate) trust: Trust,
    /// For messages: host, port and database.
    pub(crate) name: String,
}

impl fmt::Debug for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Target").field("name", &self.name).finish_non_exhaustive()
    }
}

impl FromStr for Target {
    type Err = OpenError;

    fn from_str(url: &str) -> Result<Self, OpenError> {
        let bad = |reason: String| OpenError::BadUrl { reason };
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(bad("it does not begin with `postgres://`".to_owned()));
        }
        let (rest, mode, root) = split_tls(url);
        let mut config: Config = rest.parse().map_err(|error| bad(chain(&error)))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(bad("it names no host".to_owned()));
        }
        let trust = Trust::new(mode.as_deref(), root.map(PathBuf::from)).map_err(bad)?;
        let local = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        config.ssl_mode(if local { SslMode::Disable } else { trust.mode() });
        config
            .application_name("flexcore")
            .connect_timeout(Duration::from_secs(5))
            .keepalives_idle(Duration::from_secs(5))
            .keepalives_interval(Duration::from_secs(2))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(10));
        let name = name_of(&config);
        Ok(Self { config, trust, name })
    }
}

impl Target {
    /// The same database, with settings for sessions of one purpose.
    pub(crate) fn with_settings(&self, purpose: &str, settings: &[(&str, &str)]) -> Self {
        let mut target = self.clone();
        let mut options = self.config.get_options().unwrap_or_default().to_owned();
        for (name, value) in settings {
            options.extend([" -c ", name, "=", value]);
        }
        target.config.application_name(format!("flexcore {purpose}")).options(options);
        target
    }
}

/// The URL without `sslmode` and `sslrootcert`, of which the library knows only a part, and these.
fn split_tls(url: &str) -> (String, Option<String>, Option<String>) {
    let Some((place, query)) = url.split_once('?') else { return (url.to_owned(), None, None) };
    let (mut mode, mut root, mut kept) = (None, None, Vec::new());
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value.to_owned()),
            Some(("sslrootcert", value)) => root = Some(decoded(value)),
            _ => kept.push(pair),
        }
    }
    let separator = if kept.is_empty() { "" } else { "?" };
    (format!("{place}{separator}{}", kept.join("&")), mode, root)
}

/// Percent-decoding (RFC 3986) of a file's name.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|digits| hex::decode(digits).ok());
        if let Some(byte) = escaped {
            bytes.extend(byte);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn name_of(config: &Config) -> String {
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(index, host)| {
            let ports = config.get_ports();
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                Host::Unix(path) => format!("{}:{port}", path.display()),
            }
        })
        .collect();
    let database = config.get_dbname().or(config.get_user()).unwrap_or("postgres");
    format!("database {database} on {}", hosts.join(", "))
}

/// An error and its sources, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("postgres://u:secret@h/d", "postgres://u:***@h/d"),
            (
                "postgres://u:se@cr/et@h:1/d?sslmode=require",
                "postgres://u:***@h:1/d?sslmode=require",
            ),
            ("postgres://h/d?user=u&password=secret", "postgres://h/d?user=u&password=***"),
            ("postgres://u:se?cret@h/d", "postgres://u:***@h/d"),
            ("postgres://u@h/d", "postgres://u@h/d"),
            ("host=h password=secret", "***"),
        ] {
            assert_eq!(hide_password(url), shown);
        }
        let options = PostgresOptions::new("postgres://u:secret@h/d", Role::Reader);
        assert!(!format!("{options:?}").contains("secret"));
    }

    #[test]
    fn a_url_that_cannot_be_one_says_what_is_wrong_and_no_password() {
        for url in
            ["mysql://u:secret@h/d", "postgres://u:secret@h:port/d", "postgres://u:secret@h/d?x=1"]
        {
            let error = url.parse::<Target>().unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn the_modes_of_tls_are_understood() {
        let mode = |query: &str| {
            let target = format!("postgres://u@h/d{query}").parse::<Target>();
            target.map(|target| target.config.get_ssl_mode()).ok()
        };
        assert_eq!(mode(""), Some(SslMode::Prefer));
        assert_eq!(mode("?sslmode=disable"), Some(SslMode::Disable));
        assert_eq!(mode("?sslmode=verify-full"), Some(SslMode::Require));
        assert_eq!(mode("?sslmode=never"), None);
    }
}
