//! What an error of the engine means to a person.

use flexcore_plugin_protocol::ByteSize;
use wasmtime::{Error, Trap};
use wasmtime_wasi::I32Exit;

use super::bound::Bound;
use crate::{
    services::MAX_BODY,
    task::{Bounds, Failure, FailureKind},
};

/// What a function of the host or a guest's own answer says, on its way through the engine.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.message)]
pub(super) struct Said(pub(super) Failure);

pub(super) fn said(kind: FailureKind, message: impl Into<String>) -> Error {
    Error::new(Said(Failure::new(kind, message)))
}

/// The most that a guest hands over in one go.
pub(super) fn most_in_one_go(bounds: &Bounds) -> usize {
    // Requests have as much, and lists of many small things cost more than their bytes.
    let most = bounds.output.saturating_add(2 * MAX_BODY as u64);
    usize::try_from(most).unwrap_or(usize::MAX)
}

pub(super) fn too_much(most: u64) -> Failure {
    let message = format!(
        "its answer is larger than {}, which is its limit `output_bytes`; have it hand over less, or raise the limit",
        ByteSize(most)
    );
    Failure::new(FailureKind::Answer, message)
}

pub(super) fn explain(error: &Error, bound: &Bound, bounds: &Bounds) -> Failure {
    if let Some(Said(failure)) = error.downcast_ref::<Said>() {
        return failure.clone();
    }
    if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
        let message = format!("it ended itself with exit code {code} instead of answering");
        return Failure::new(FailureKind::Trap, message);
    }
    let trap = error.downcast_ref::<Trap>();
    if trap == Some(&Trap::OutOfFuel) {
        let fuel = bounds.fuel.unwrap_or_default();
        let message = format!("it used all the instructions that `fuel` allows ({fuel})");
        return Failure::new(FailureKind::Time, message);
    }
    if bound.was_hit && trap != Some(&Trap::StackOverflow) {
        let message = format!(
            "it wanted more memory than {}, which is its limit `memory`; {}",
            ByteSize(bounds.memory),
            first_lines(error)
        );
        return Failure::new(FailureKind::Memory, message);
    }
    let text = format!("{error:#}");
    if text.contains("fuel allocated for hostcalls") {
        return too_much(bounds.output);
    }
    if trap.is_some() {
        return Failure::new(FailureKind::Trap, format!("it trapped: {}", first_lines(error)));
    }
    Failure::new(FailureKind::Answer, format!("it gave no answer: {}", first_lines(error)))
}

/// The cause first, then where it happened, short enough for an event.
fn first_lines(error: &Error) -> String {
    const MOST: usize = 1_500;
    let cause = error.root_cause().to_string();
    let trace = error.to_string();
    let text = if trace.contains(&cause) { trace } else { format!("{cause}; {trace}") };
    let text = text.trim();
    text[..text.floor_char_boundary(MOST)].to_owned()
}
