//! What a plugin gets in the end: what its manifest asks for, the step wants and the operator
//! grants; and what was refused on the way, and by which of them.

use std::collections::BTreeSet;

use super::{Grants, Subject};
use crate::capability::{Capabilities, Capability, CapabilityKind};
use crate::integrity::ContentDigest;
use crate::limits::{LimitName, Limits};

/// What a step of a pipeline asks for. A kind that it does not speak of is as the manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CapabilityRequest {
    /// The kinds that the step speaks of; with an empty list it wants none of that kind.
    pub stated: BTreeSet<CapabilityKind>,
    /// What it asks for.
    pub asked: Capabilities,
}

/// Who asks for what.
#[derive(Debug, Clone, Copy, Default)]
pub struct Requests<'a> {
    /// The plugin's manifest, where there is one.
    pub manifest: Option<(&'a Capabilities, &'a Limits)>,
    /// The pipeline's step, where it says something.
    pub step: Option<(&'a CapabilityRequest, &'a Limits)>,
}

/// Which of the three kept something back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The step asks for more than the plugin's manifest.
    Manifest,
    /// The step wants less than the manifest asks for; nobody misses it.
    Step,
    /// The operator does not grant it.
    Grants,
}

impl Rule {
    /// Its stable word for audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Step => "step",
            Self::Grants => "grants",
        }
    }
}

/// A capability that was asked for and is not, or not wholly, in the effective set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// What was asked for.
    pub capability: Capability,
    /// Who kept it back.
    pub rule: Rule,
}

impl Refusal {
    /// The stable code of a refusal; the page is in `docs/errors`.
    pub const CODE: &str = "FC0611";
}

/// A limit that is lower than was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoweredLimit {
    /// Which limit.
    pub name: LimitName,
    /// What was asked for, in the unit of the name.
    pub asked: u64,
    /// What it is.
    pub allowed: u64,
    /// Who lowered it.
    pub rule: Rule,
}

/// What a plugin gets, and what it does not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effective {
    /// What it may do.
    pub capabilities: Capabilities,
    /// What it may use at most.
    pub limits: Limits,
    /// What was asked for in vain, in the order of files.
    pub refused: Vec<Refusal>,
    /// Which limits became lower than asked for.
    pub lowered: Vec<LoweredLimit>,
}

impl Effective {
    /// What only the operator's grant is missing for.
    pub fn not_granted(&self) -> impl Iterator<Item = &Capability> {
        let by_grants = self.refused.iter().filter(|refusal| refusal.rule == Rule::Grants);
        by_grants.map(|refusal| &refusal.capability)
    }

    /// A digest of what the plugin may do and use, for the trail of audits: equal for equal rights,
    /// whatever was asked for on the way.
    pub fn digest(&self) -> ContentDigest {
        let capabilities = self.capabilities.iter().map(|one| format!("{one}\n"));
        let limits = self.limits.iter().map(|(name, value)| format!("limit {name} {value}\n"));
        let text: String = capabilities.chain(limits).collect();
        ContentDigest::of(text.as_bytes())
    }

    /// Whether somebody who asked for something does without it. What the step itself leaves out
    /// is no loss.
    pub fn lacks_something(&self) -> bool {
        self.refused.iter().any(|refusal| refusal.rule != Rule::Step)
    }
}

/// The meet of manifest, step and grants.
pub fn effective(requests: Requests<'_>, grants: &Grants, subject: &Subject) -> Effective {
    let (granted, ceilings) = grants.of(subject);
    let granted = granted.union(&Capabilities::free());
    let mut refused = Vec::new();
    let asked = asked(requests, &mut refused);
    refuse(&asked, &granted, Rule::Grants, &mut refused);
    refused.sort();

    let mut lowered = Vec::new();
    let manifest = requests.manifest.map(|(_, limits)| limits.clone()).unwrap_or_default();
    let step = requests.step.map(|(_, limits)| limits.clone()).unwrap_or_default();
    let wanted = step.intersection(&manifest);
    // The step's wish is what a person reads again, so it is what a lowered limit is held against.
    lower(&step, &wanted, Rule::Manifest, &mut lowered);
    let limits = wanted.intersection(&ceilings);
    lower(&wanted, &limits, Rule::Grants, &mut lowered);
    Effective { capabilities: asked.intersection(&granted), limits, refused, lowered }
}

/// What manifest and step both ask for.
fn asked(requests: Requests<'_>, refused: &mut Vec<Refusal>) -> Capabilities {
    let manifest = requests.manifest.map(|(capabilities, _)| capabilities);
    match (manifest, requests.step.map(|(request, _)| request)) {
        (None, None) => Capabilities::default(),
        (Some(manifest), None) => manifest.clone(),
        (None, Some(step)) => step.asked.clone(),
        (Some(manifest), Some(step)) => {
            let unspoken = |one: &&Capability| !step.stated.contains(&one.kind());
            let unspoken = manifest.iter().filter(unspoken).cloned().collect();
            let wanted = step.asked.union(&unspoken);
            refuse(&step.asked, manifest, Rule::Manifest, refused);
            refuse(manifest, &wanted, Rule::Step, refused);
            manifest.intersection(&wanted)
        }
    }
}

fn refuse(asked: &Capabilities, allowed: &Capabilities, rule: Rule, refused: &mut Vec<Refusal>) {
    let missing = asked.iter().filter(|capability| !allowed.cover(capability)).cloned();
    refused.extend(missing.map(|capability| Refusal { capability, rule }));
}

fn lower(asked: &Limits, allowed: &Limits, rule: Rule, lowered: &mut Vec<LoweredLimit>) {
    for (name, asked) in asked.iter() {
        if let Some(allowed) = allowed.get(name).filter(|allowed| *allowed < asked) {
            lowered.push(LoweredLimit { name, asked, allowed, rule });
        }
    }
}
