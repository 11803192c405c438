//! Where in a trace something happens (W3C Trace Context, level 1).
//!
//! Ids are derived rather than drawn: the same work in the same trace has the same id wherever it
//! is looked at, so that a program, a plugin and another node find their place without being told
//! by anybody but the log.

use std::fmt;

use uuid::Uuid;

/// A span of a trace, as those see it who work under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace: TraceId,
    span: SpanId,
    sampled: bool,
}

/// What all spans of a trace share; never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

/// One span of a trace; never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(u64);

/// Which traces are recorded: a share of them, the same ones on every node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TraceSampler {
    ratio: f64,
}

impl TraceContext {
    /// A span that is named from outside, in the form of the header `traceparent`; `None` if it is
    /// not one. Versions to come may add parts, which are left aside.
    pub fn parse(traceparent: &str) -> Option<Self> {
        let mut parts = traceparent.trim().split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let version = digits(version, 2)?;
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        let flags = digits(flags, 2)?;
        let span = u64::try_from(digits(span, 16)?).ok().filter(|span| *span != 0)?;
        let trace = digits(trace, 32).filter(|trace| *trace != 0)?;
        Some(Self { trace: TraceId(trace), span: SpanId(span), sampled: flags & 1 == 1 })
    }

    /// The span of a trace that has this name: the first one, which has no parent.
    pub fn root(trace: TraceId, name: &str, sampled: bool) -> Self {
        Self { trace, span: SpanId::derived(trace, None, name), sampled }
    }

    /// The span of this name under this one. The same name under the same span is the same span.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self { span: SpanId::derived(self.trace, Some(self.span), name), ..*self }
    }

    /// Its trace.
    pub const fn trace(&self) -> TraceId {
        self.trace
    }

    /// Its own id.
    pub const fn span(&self) -> SpanId {
        self.span
    }

    /// Whether somebody records the trace.
    pub const fn is_sampled(&self) -> bool {
        self.sampled
    }
}

/// As the header `traceparent` has it.
impl fmt::Display for TraceContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(formatter, "00-{}-{}-{flags:02x}", self.trace, self.span)
    }
}

impl TraceId {
    /// The trace of what has this id; `None` for the nil id, which is no trace's.
    pub fn of(id: Uuid) -> Option<Self> {
        (!id.is_nil()).then(|| Self(id.as_u128()))
    }

    /// As an id: what the events of the trace are correlated by.
    pub const fn as_uuid(self) -> Uuid {
        Uuid::from_u128(self.0)
    }

    /// Its bytes, in the order of the digits.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// What its 32 digits say; `None` if they are something else.
    pub fn parse(text: &str) -> Option<Self> {
        digits(text, 32).filter(|trace| *trace != 0).map(Self)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl SpanId {
    fn derived(trace: TraceId, parent: Option<Self>, name: &str) -> Self {
        let parent = parent.map_or(0, |parent| parent.0);
        let id = Uuid::new_v5(&trace.as_uuid(), format!("{parent:016x}/{name}").as_bytes());
        let [first @ .., _, _, _, _, _, _, _, _] = id.into_bytes();
        // Zero is no span; that a digest begins with so many zeros will not happen, but may.
        Self(u64::from_be_bytes(first).max(1))
    }

    /// Its bytes, in the order of the digits.
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// What its 16 digits say; `None` if they are something else.
    pub fn parse(text: &str) -> Option<Self> {
        u64::try_from(digits(text, 16)?).ok().filter(|span| *span != 0).map(Self)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl TraceSampler {
    /// Records nothing.
    pub const OFF: Self = Self { ratio: 0.0 };

    /// Records this share of all traces, from 0 to 1.
    pub const fn new(ratio: f64) -> Self {
        Self { ratio: ratio.clamp(0.0, 1.0) }
    }

    /// Whether a trace is recorded. Whoever asks gets the same answer, on every node.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share needs no more digits than a double has"
    )]
    pub fn samples(&self, trace: TraceId) -> bool {
        // Ids may hold times: only what is mixed is spread evenly.
        let mixed = Uuid::new_v5(&trace.as_uuid(), b"sampled").as_u64_pair().0;
        self.ratio >= 1.0 || (mixed as f64) < self.ratio * (u64::MAX as f64)
    }
}

impl Default for TraceSampler {
    fn default() -> Self {
        Self::OFF
    }
}

/// So many lower-case hexadecimal digits.
fn digits(text: &str, count: usize) -> Option<u128> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != count || !text.bytes().all(is_digit) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the standard.
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_read_and_written() {
        let parent = TraceContext::parse(PARENT).unwrap();
        assert!(parent.is_sampled());
        assert_eq!(parent.to_string(), PARENT);
        assert_eq!(TraceId::parse(&parent.trace().to_string()), Some(parent.trace()));
        assert_eq!(SpanId::parse(&parent.span().to_string()), Some(parent.span()));
        // What a later version adds is left aside.
        assert!(
            TraceContext::parse(&format!("{}-more", PARENT.replace("00-0a", "01-0a"))).is_some()
        );
    }

    #[test]
    fn what_is_no_traceparent_is_none() {
        for wrong in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            &format!("{PARENT}-more"),
        ] {
            assert_eq!(TraceContext::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_name_under_a_span_is_always_the_same_span() {
        let parent = TraceContext::parse(PARENT).unwrap();
        let (one, two) = (parent.child("step/load"), parent.child("step/store"));
        assert_eq!(one, parent.child("step/load"));
        assert_ne!(one.span(), two.span());
        assert_eq!((one.trace(), one.is_sampled()), (parent.trace(), true));
        assert_ne!(one.child("x").span(), two.child("x").span());
    }

    #[test]
    fn a_sampler_takes_its_share() {
        let ids: Vec<TraceId> = (1..=10_000_u128).map(TraceId).collect();
        let taken = |ratio| ids.iter().filter(|id| TraceSampler::new(ratio).samples(**id)).count();
        assert_eq!((taken(0.0), taken(1.0)), (0, ids.len()));
        assert!((2_200..2_800).contains(&taken(0.25)), "{}", taken(0.25));
    }
}
