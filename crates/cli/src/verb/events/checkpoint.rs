//! `flexcore events checkpoint|keygen`

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::Args;
use flexcore_api::{CheckpointKeyPair, SignedCheckpoint};
use flexcore_app::{CheckpointKey, KeyError, UseCaseError, format_time, sign_head};

use crate::{
    Place,
    failure::{Code, Failure},
    note_file::append_note,
    session::Session,
    text::{key_pair_text, signed_checkpoint_text},
};

/// Arguments of `events keygen`.
#[derive(Debug, Args)]
pub(crate) struct KeygenArguments {
    /// The file of the private key; the public one is written beside it, to FILE.pub
    file: PathBuf,
    /// The name that signatures show the key by
    #[arg(long, default_value = "flexcore")]
    name: String,
}

/// Arguments of `events checkpoint`.
#[derive(Debug, Args)]
pub(crate) struct CheckpointArguments {
    /// The private key to sign with
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Add the checkpoint to this file instead of printing it
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

impl KeygenArguments {
    pub(super) fn execute(self, session: &Session<'_>) -> Result<(), Failure> {
        let file = session.host.current_folder().join(&self.file);
        let mut public_file = file.clone().into_os_string();
        public_file.push(".pub");
        let public_file = PathBuf::from(public_file);
        let seed = session.host.secret_seed()?;
        let key = CheckpointKey::from_seed(&self.name, &seed)
            .map_err(|error| Failure::new(Code::Key, error.to_string()))?;
        // The public one first: a private key without it would be in the way of the next try.
        for file in [&file, &public_file] {
            if file.exists() {
                return Err(taken(file));
            }
        }
        let public = key.public();
        write_new(&public_file, 0o644, &format!("{public}\n"))?;
        write_new(&file, 0o600, &format!("{}\n", key.secret_text()))?;
        let reply = CheckpointKeyPair {
            private_key_file: file.display().to_string(),
            public_key_file: public_file.display().to_string(),
            public_key: public.to_string(),
        };
        session.output.result(&reply, key_pair_text)
    }
}

impl CheckpointArguments {
    pub(super) async fn execute(self, session: &Session<'_>, place: &Place) -> Result<(), Failure> {
        session.only_here("events checkpoint", "whoever signs looks at the log itself")?;
        let key: CheckpointKey = key_in(session, &self.key)?;
        warn_if_seen(session, &self.key);
        let reader = session.host.read(place).await?;
        let ports = reader.services.ports();
        let signed = sign_head(&*ports.store, &*ports.clock, &key).await;
        let Some((checkpoint, note)) = signed.map_err(UseCaseError::from)? else {
            return Err(UseCaseError::NotFound {
                what: "event in the log of",
                name: place.state_folder.display().to_string(),
                hint: Some("a log has a checkpoint once something happened".to_owned()),
            }
            .into());
        };
        if let Some(file) = &self.to {
            let file = session.host.current_folder().join(file);
            append_note(&file, &note).map_err(|error| cannot("write", &file, &error))?;
        }
        let reply = SignedCheckpoint {
            log: checkpoint.log.to_string(),
            position: checkpoint.head.position,
            batch: checkpoint.head.batch,
            hash: checkpoint.head.hash.to_string(),
            signed_at: format_time(checkpoint.signed_at),
            file: self.to.map(|file| file.display().to_string()),
            note,
        };
        session.output.result(&reply, signed_checkpoint_text)
    }
}

/// The key in a file.
pub(super) fn key_in<K: FromStr<Err = KeyError>>(
    session: &Session<'_>,
    file: &Path,
) -> Result<K, Failure> {
    read_text(session, file)?.parse().map_err(|error| {
        Failure::new(Code::Key, format!("{} cannot be used: {error}", file.display()))
            .hint("`flexcore events keygen FILE` makes FILE and FILE.pub")
    })
}

/// The text of a file; bytes that are no text are replaced, and then are not what they should be.
pub(super) fn read_text(session: &Session<'_>, file: &Path) -> Result<String, Failure> {
    let path = session.host.current_folder().join(file);
    let bytes = fs::read(&path).map_err(|error| cannot("read", file, &error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A key that others can read signs for them as well.
fn warn_if_seen(session: &Session<'_>, file: &Path) {
    let path = session.host.current_folder().join(file);
    if fs::metadata(path).is_ok_and(|found| found.mode() & 0o077 != 0) {
        let file = file.display();
        session.output.warning(&format!("others can read {file}; `chmod 600 {file}`"));
    }
}

fn write_new(file: &Path, mode: u32, text: &str) -> Result<(), Failure> {
    let write = || {
        let mut created = OpenOptions::new().write(true).create_new(true).mode(mode).open(file)?;
        created.write_all(text.as_bytes())?;
        created.sync_all()
    };
    write().map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => taken(file),
        _ => cannot("write", file, &error),
    })
}

fn taken(file: &Path) -> Failure {
    Failure::new(Code::Exists, format!("{} is there already", file.display()))
        .hint("keys are never overwritten: what they signed could no longer be checked")
}

fn cannot(what: &str, file: &Path, error: &io::Error) -> Failure {
    Failure::new(Code::File, format!("cannot {what} {}: {error}", file.display()))
}
