//! What held programs and what they used, as callers see it and in a few words.

use flexcore_api::{CapabilityUseView, ControlView, IsolationView};
use flexcore_domain::{CapabilityUse, ControlRecord, Isolation, IsolationPlace};

/// What held a program, for replies.
pub(crate) fn isolation_view(isolation: &Isolation) -> IsolationView {
    let Isolation { part, place, controls } = isolation;
    let tier = match place {
        IsolationPlace::Jail { tier } => Some(tier.clone()),
        IsolationPlace::InProcess | IsolationPlace::Remote | IsolationPlace::Unconfined => None,
    };
    IsolationView {
        part: text(part),
        place: place.as_str().to_owned(),
        tier,
        controls: controls.iter().map(control_view).collect(),
    }
}

fn control_view(control: &ControlRecord) -> ControlView {
    ControlView {
        name: control.name.clone(),
        state: control.state.clone(),
        required: control.required,
        detail: text(&control.detail),
    }
}

fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The use of a capability, for replies.
pub(crate) fn use_view(one: &CapabilityUse) -> CapabilityUseView {
    CapabilityUseView {
        capability: one.capability.clone(),
        allowed: one.allowed,
        times: one.times,
        bytes: one.bytes,
    }
}

/// `jail (user_ns), refused: fs_read /etc/passwd`.
pub(crate) fn sandboxed_text(isolation: &[Isolation], refused: &[String]) -> String {
    let mut places: Vec<String> = isolation.iter().map(place_text).collect();
    places.dedup();
    let places = places.join(" and ");
    if refused.is_empty() { places } else { format!("{places}, refused: {}", refused.join(", ")) }
}

fn place_text(isolation: &Isolation) -> String {
    match &isolation.place {
        IsolationPlace::Jail { tier } => format!("jail ({tier})"),
        place => place.as_str().to_owned(),
    }
}

/// `network tcp://db:5432 3 times, network tcp://db:5432 refused 12 times`.
pub(crate) fn uses_text(uses: &[CapabilityUse]) -> String {
    let one = |one: &CapabilityUse| {
        let refused = if one.allowed { "" } else { "refused " };
        let times = if one.times == 1 { "once".to_owned() } else { format!("{} times", one.times) };
        format!("{} {refused}{times}", one.capability)
    };
    uses.iter().map(one).collect::<Vec<_>>().join(", ")
}
