//! `flexcore events verify`

use std::path::PathBuf;

use clap::Args;
use flexcore_api::{CheckpointComparison, RefusedCheckpoint, VerifyLog};
use flexcore_app::{
    CheckpointPublicKey, FoundNote, NoteError, UseCaseError, read_notes, verify_reply,
};
use flexcore_ports::LogHead;

use super::checkpoint::{key_in, read_text};
use crate::{Exit, Place, failure::Failure, session::Session, text::verify_text};

/// Arguments of `events verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// A file of signed checkpoints: the log must still have every end that they say it had, which
    /// also finds an end that was cut off
    #[arg(long, value_name = "FILE", requires = "public_key")]
    checkpoint: Option<PathBuf>,
    /// The key that the checkpoints must be signed with
    #[arg(long, value_name = "FILE.pub", requires = "checkpoint")]
    public_key: Option<PathBuf>,
}

impl VerifyArguments {
    pub(super) async fn execute(
        self,
        session: &Session<'_>,
        place: &Place,
    ) -> Result<Exit, Failure> {
        if self.checkpoint.is_some() {
            session
                .only_here("events verify --checkpoint", "what witnesses say is checked here")?;
        }
        if let Some(server) = session.server()? {
            let reply = server.query(&VerifyLog {}).await?;
            session.output.result(&reply, verify_text)?;
            return Ok(if reply.intact { Exit::Completed } else { Exit::Failed });
        }
        let checkpoints = match (&self.checkpoint, &self.public_key) {
            (Some(file), Some(key)) => {
                let key: CheckpointPublicKey = key_in(session, key)?;
                Some(compared(&read_notes(&read_text(session, file)?, &key)))
            }
            _ => None,
        };
        let (comparison, witnessed) = checkpoints.unzip();
        let verifier = session.host.verifier(place).await?;
        let report = verifier.verify(&witnessed.unwrap_or_default()).await;
        let mut reply = verify_reply(report.map_err(UseCaseError::from)?);
        // Nothing to compare with is not what was asked for either.
        let is_compared = comparison
            .as_ref()
            .is_none_or(|comparison| comparison.refused.is_empty() && comparison.compared > 0);
        reply.checkpoints = comparison;
        session.output.result(&reply, verify_text)?;
        Ok(if reply.intact && is_compared { Exit::Completed } else { Exit::Failed })
    }
}

/// What there is to compare with, and what is wrong with the rest.
fn compared(notes: &[FoundNote]) -> (CheckpointComparison, Vec<LogHead>) {
    let mut comparison = CheckpointComparison { compared: 0, refused: vec![], unfinished: vec![] };
    let mut witnessed = Vec::new();
    for note in notes {
        match &note.checkpoint {
            Ok(checkpoint) => {
                comparison.compared += 1;
                witnessed.push(checkpoint.head);
            }
            // Whoever wrote it was interrupted; it proves nothing for or against the log.
            Err(NoteError::Unfinished) => comparison.unfinished.push(note.line),
            Err(error) => {
                let refused = RefusedCheckpoint { line: note.line, reason: error.to_string() };
                comparison.refused.push(refused);
            }
        }
    }
    (comparison, witnessed)
}
