//! What a target must know for `engine` to drive it.

use flexcore_singer::{RecordMessage, SchemaMessage};

use crate::target::error::SinkError;

/// SHA-256 of a STATE value as it is echoed, in hex.
pub(crate) type StateHash = String;

/// Where records go.
///
/// Between two checkpoints nothing needs to be durable; after an error [`Sink::roll_back`] takes
/// the output back to the last one.
pub(crate) trait Sink {
    /// Takes a SCHEMA; it may come again and change.
    fn schema(&mut self, message: &SchemaMessage<'_>) -> Result<(), SinkError>;

    /// Takes a record.
    fn record(&mut self, record: &RecordMessage<'_>) -> Result<(), SinkError>;

    /// Ends a full sync: rows of other versions may go.
    fn activate_version(&mut self, stream: &str, version: i64) -> Result<(), SinkError>;

    /// Makes everything taken so far durable, together with a mark of this STATE, if there is one
    /// to confirm.
    fn checkpoint(&mut self, state: Option<&StateHash>) -> Result<(), SinkError>;

    /// Takes the output back to the last checkpoint, or to its beginning.
    fn roll_back(&mut self) -> Result<(), SinkError>;
}
