//! Where a Vault is, and with which token it is asked.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    path::PathBuf,
    time::Duration,
};

use reqwest::Url;
use thiserror::Error;

use super::fault::Fault;

/// The largest token, in bytes. Batch tokens carry their policies and have some hundred.
const MAX_TOKEN: u64 = 16 * 1024;

/// How a Vault is asked.
#[derive(Clone)]
pub struct VaultSettings {
    /// Its address, as `VAULT_ADDR` has it: `https://vault.example.com:8200`. Without TLS only on
    /// loopback.
    pub address: String,
    /// Where the key-value engine is mounted.
    pub mount: String,
    /// What stands in front of every path; empty for nothing.
    pub prefix: String,
    /// With what FlexCore shows who it is.
    pub token: VaultToken,
    /// The namespace, where Vault has them.
    pub namespace: Option<String>,
    /// A file with certificates (PEM) of authorities; they are trusted and no others.
    pub ca: Option<PathBuf>,
    /// How long what was read counts.
    pub remember: Duration,
    /// How long one request may take.
    pub patience: Duration,
}

/// Where the token is.
#[derive(Clone)]
pub enum VaultToken {
    /// In a file, which is read for each request.
    File(PathBuf),
    /// In an environment variable.
    Variable {
        /// Its name.
        name: String,
        /// What it held when the process began.
        value: Option<String>,
    },
}

/// Why nothing can come of the settings of a Vault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VaultSettingError {
    /// The address is none.
    #[error("the address of the Vault is no URL such as https://vault.example.com:8200")]
    Address,
    /// There would be no TLS.
    #[error(
        "the address of the Vault begins with http://, so the token and every secret would pass \
         in clear; without TLS it has to be on loopback"
    )]
    NoTls,
    /// The engine's mount or the prefix are no paths.
    #[error("`{key}` of the Vault is no path: parts with `/` in between, none of them `..`")]
    Path {
        /// Which.
        key: &'static str,
    },
    /// The namespace is not what a header may hold.
    #[error("`namespace` of the Vault holds characters that no namespace has")]
    Namespace,
    /// The authorities cannot be used.
    #[error("{} with the authorities of the Vault cannot be used: {reason}", .file.display())]
    Authorities {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("TLS to the Vault cannot be set up: {reason}")]
    Tls {
        /// What is wrong.
        reason: String,
    },
}

impl VaultSettings {
    /// The usual bounds and names: engine `secret`, no prefix, a minute's memory.
    pub fn new(address: impl Into<String>, token: VaultToken) -> Self {
        Self {
            address: address.into(),
            mount: "secret".to_owned(),
            prefix: String::new(),
            token,
            namespace: None,
            ca: None,
            remember: Duration::from_mins(1),
            patience: Duration::from_secs(10),
        }
    }

    /// The address as a URL that requests are made from.
    pub(super) fn url(&self) -> Result<Url, VaultSettingError> {
        let url = Url::parse(self.address.trim()).map_err(|_| VaultSettingError::Address)?;
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        let host = url.host_str().ok_or(VaultSettingError::Address)?;
        match url.scheme() {
            _ if !plain => Err(VaultSettingError::Address),
            "https" => Ok(url),
            "http" if is_loopback(host) => Ok(url),
            "http" => Err(VaultSettingError::NoTls),
            _ => Err(VaultSettingError::Address),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

impl VaultToken {
    /// The token as it is now.
    pub(super) fn read(&self) -> Result<String, Fault> {
        let none = |why: String| Fault::NoToken { why };
        let text = match self {
            Self::File(path) => {
                // A small local file: handing it to another thread would take longer.
                read(path).map_err(|error| none(format!("{}: {error}", path.display())))?
            }
            Self::Variable { name, value } => {
                value.clone().ok_or_else(|| none(format!("{name} is not set")))?
            }
        };
        let token = text.trim();
        let legal = |byte: u8| byte.is_ascii_graphic();
        if token.is_empty() {
            return Err(none(format!("{} is empty", self.shown())));
        }
        if !token.bytes().all(legal) {
            let why = format!("{} holds characters that no token has", self.shown());
            return Err(none(why));
        }
        Ok(token.to_owned())
    }

    /// Where it is, for messages.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Variable { name, .. } => name.clone(),
        }
    }
}

fn read(path: &PathBuf) -> io::Result<String> {
    let mut text = String::new();
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    file.take(MAX_TOKEN).read_to_string(&mut text)?;
    Ok(text)
}

impl fmt::Debug for VaultToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("VaultToken").field(&self.shown()).finish()
    }
}

impl fmt::Debug for VaultSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("VaultSettings")
            .field("mount", &self.mount)
            .field("prefix", &self.prefix)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(address: &str) -> Result<String, VaultSettingError> {
        let token = VaultToken::Variable { name: "VAULT_TOKEN".to_owned(), value: None };
        VaultSettings::new(address, token).url().map(|url| url.to_string())
    }

    #[test]
    fn only_loopback_goes_without_tls() {
        assert_eq!(url("https://vault:8200").unwrap(), "https://vault:8200/");
        for address in ["http://127.0.0.1:8200", "http://localhost:8200", "http://[::1]:8200/"] {
            assert!(url(address).is_ok(), "{address}");
        }
        assert_eq!(url("http://vault:8200"), Err(VaultSettingError::NoTls));
        for address in ["", "vault:8200", "ftp://vault", "https://me:pw@vault", "https://vault?x=1"]
        {
            assert_eq!(url(address), Err(VaultSettingError::Address), "{address}");
        }
    }

    #[test]
    fn a_token_is_one_word_and_never_shown() {
        let read = |value: Option<&str>| {
            let value = value.map(str::to_owned);
            let token = VaultToken::Variable { name: "VAULT_TOKEN".to_owned(), value };
            assert!(!format!("{token:?}").contains("hvs"));
            token.read().map_err(|fault| fault.to_string())
        };
        assert_eq!(read(Some(" hvs.abc\n")).unwrap(), "hvs.abc");
        assert!(read(None).unwrap_err().contains("VAULT_TOKEN is not set"));
        assert!(read(Some(" ")).unwrap_err().contains("is empty"));
        let said = read(Some("hvs.a\nhvs.b")).unwrap_err();
        assert!(said.contains("characters") && !said.contains("hvs"), "{said}");
    }

    #[test]
    fn a_token_in_a_file_is_read_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = VaultToken::File(path.clone());
        assert!(token.read().unwrap_err().to_string().contains("token: No such file"));
        std::fs::write(&path, "one\n").unwrap();
        assert_eq!(token.read().unwrap(), "one");
        std::fs::write(&path, "two\n").unwrap();
        assert_eq!(token.read().unwrap(), "two");
        assert!(VaultToken::File(folder.path().into()).read().is_err());
    }
}
