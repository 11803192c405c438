//! `flexcore events export|import`

mod file;

use std::path::PathBuf;

use clap::Args;
use flexcore_api::LogCopied;
use flexcore_app::{CopyError, UseCaseError, copy_log};
use flexcore_ports::{LogHead, TransferError};
use indicatif::ProgressBar;

use crate::{
    Place, StoreAddress, TransferEnd,
    failure::{Code, Failure},
    session::Session,
    store_address::StoreText,
    text::{count_text, log_copied_text},
};

/// Arguments of `events export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// A file (JSON Lines), or another store: a folder that is one, `sqlite:FOLDER` for one that
    /// may be new, or the URL of a database
    #[arg(value_name = "FILE|URL")]
    to: StoreText,
}

/// Arguments of `events import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// A file that `events export` wrote, or another store: its folder, or the URL of a database
    #[arg(value_name = "FILE|URL")]
    from: StoreText,
}

/// The other end of a copy.
enum Other {
    File(PathBuf),
    Store(Box<Place>),
}

impl ExportArguments {
    pub(super) async fn execute(self, session: &Session<'_>, place: &Place) -> Result<(), Failure> {
        session.only_here("events export", "logs are copied where they lie")?;
        let progress = Progress::new(session);
        let head = match other(session, &self.to)? {
            Other::File(path) => {
                let here = session.host.transfer(place, TransferEnd::Source).await?;
                let exported = file::export(&*here.log, &path, &progress).await;
                here.closing.close().await?;
                exported?
            }
            Other::Store(other) => copied(session, place, &other, &progress).await?,
        };
        progress.finish();
        reply(session, head, name(place), self.to.to_string())
    }
}

impl ImportArguments {
    pub(super) async fn execute(self, session: &Session<'_>, place: &Place) -> Result<(), Failure> {
        session.only_here("events import", "logs are copied where they lie")?;
        let progress = Progress::new(session);
        let head = match other(session, &self.from)? {
            Other::File(path) => {
                // A file that is none makes no store.
                let file = file::Batches::open(&path)?;
                let here = session.host.transfer(place, TransferEnd::Destination).await?;
                let imported = file::import(file, &*here.log, &progress).await;
                here.closing.close().await?;
                imported?
            }
            Other::Store(other) => copied(session, &other, place, &progress).await?,
        };
        progress.finish();
        reply(session, head, self.from.to_string(), name(place))
    }
}

/// What was named: a URL and the folder of a store are a store, anything else is a file.
fn other(session: &Session<'_>, text: &StoreText) -> Result<Other, Failure> {
    let path = session.host.current_folder().join(text.as_str());
    let is_store = text.as_str().starts_with("sqlite:") || text.as_str().contains("://");
    if is_store || path.is_dir() {
        return Ok(Other::Store(Box::new(session.elsewhere(text.as_str())?)));
    }
    Ok(Other::File(path))
}

/// Copies one store's log into another's.
async fn copied(
    session: &Session<'_>,
    from: &Place,
    into: &Place,
    progress: &Progress,
) -> Result<LogHead, Failure> {
    if from.store == into.store && from.state_folder == into.state_folder {
        return Err(Failure::new(Code::Usage, "a log cannot be copied into itself"));
    }
    let source = session.host.transfer(from, TransferEnd::Source).await?;
    let destination = session.host.transfer(into, TransferEnd::Destination).await;
    let destination = match destination {
        Ok(destination) => destination,
        Err(error) => {
            source.closing.close().await?;
            return Err(error.into());
        }
    };
    let copied = copy_log(&*source.log, &*destination.log, |head| progress.reached(head)).await;
    source.closing.close().await?;
    destination.closing.close().await?;
    copied.map_err(not_copied)
}

fn reply(session: &Session<'_>, head: LogHead, from: String, to: String) -> Result<(), Failure> {
    let LogHead { position, batch: batches, hash } = head;
    let reply = LogCopied { from, to, position, batches, head: hash.to_string() };
    session.output.result(&reply, log_copied_text)
}

/// A place as people know it, without the password that its URL may hold.
fn name(place: &Place) -> String {
    match &place.store {
        StoreAddress::Folder => place.state_folder.display().to_string(),
        StoreAddress::Database(url) => url.to_string(),
    }
}

fn not_copied(error: CopyError) -> Failure {
    match error {
        CopyError::Source(error) | CopyError::Destination(TransferError::Store(error)) => {
            UseCaseError::Store(error).into()
        }
        error @ CopyError::Unproven { .. } => Failure::new(Code::Copy, error.to_string())
            .hint("`flexcore events verify` on the log that is copied says what is wrong with it"),
        CopyError::Destination(error @ TransferError::Refused { .. }) => {
            Failure::new(Code::Copy, error.to_string())
                .hint("copy into an empty store, or into an older copy of the same log")
        }
    }
}

/// How far a copy came, on a terminal.
struct Progress {
    bar: ProgressBar,
}

impl Progress {
    fn new(session: &Session<'_>) -> Self {
        let is_shown = session.output.is_interactive() && !session.output.is_quiet();
        Self { bar: if is_shown { ProgressBar::new_spinner() } else { ProgressBar::hidden() } }
    }

    fn reached(&self, head: LogHead) {
        let (events, batches) = (count_text(head.position), count_text(head.batch));
        self.bar.set_message(format!("{events} events in {batches} batches"));
        self.bar.tick();
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
