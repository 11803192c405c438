//! What must hold for the steps of a pipeline: small named predicates, each testable alone.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::{StepDefinition, StepId};

/// A rule that the steps of a pipeline break, with the steps that break it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Violation {
    /// Nothing to do.
    #[error("a pipeline needs at least one step")]
    NoSteps,
    /// Two steps have the same id.
    #[error("step `{step}` is there twice")]
    DuplicateId {
        /// The id.
        step: StepId,
    },
    /// A step needs one that does not exist.
    #[error("step `{step}` needs `{need}`, which does not exist")]
    UnknownNeed {
        /// The step.
        step: StepId,
        /// What it needs.
        need: StepId,
    },
    /// Steps wait for each other.
    #[error("steps wait for each other: {}", cycle_text(.steps))]
    Cycle {
        /// The steps in order, each needing the next, the last needing the first.
        steps: Vec<StepId>,
    },
    /// A condition reads a step that does not exist.
    #[error("the condition of step `{step}` reads `steps.{named}`, which does not exist")]
    UnknownStepInCondition {
        /// The step whose condition it is.
        step: StepId,
        /// What it names.
        named: String,
    },
    /// A condition reads an output that steps of this kind do not have.
    #[error(
        "the condition of step `{step}` reads `steps.{named}.output.{field}`, but a {kind} step has only {known}"
    )]
    UnknownOutputInCondition {
        /// The step whose condition it is.
        step: StepId,
        /// The step that it reads.
        named: StepId,
        /// The output field that it reads.
        field: String,
        /// The kind of the step that it reads.
        kind: &'static str,
        /// The fields that there are.
        known: String,
    },
    /// A condition can never be true, so the step can never run.
    #[error("the condition of step `{step}` is always false, so the step can never run")]
    ConstantlyFalse {
        /// The step.
        step: StepId,
    },
}

impl Violation {
    /// The step that breaks the rule, for pointing at its place in a file.
    pub fn step(&self) -> Option<&StepId> {
        match self {
            Self::NoSteps => None,
            Self::Cycle { steps } => steps.first(),
            Self::DuplicateId { step }
            | Self::UnknownNeed { step, .. }
            | Self::UnknownStepInCondition { step, .. }
            | Self::UnknownOutputInCondition { step, .. }
            | Self::ConstantlyFalse { step } => Some(step),
        }
    }
}

fn cycle_text(steps: &[StepId]) -> String {
    let ring = steps.iter().chain(steps.first());
    ring.map(|step| format!("`{step}`")).collect::<Vec<_>>().join(" needs ")
}

/// A predicate over the steps of a pipeline that says where it does not hold.
pub type Specification = fn(&[StepDefinition]) -> Vec<Violation>;

/// Every specification of a step list, in the order in which violations are shown.
pub const STEP_SPECIFICATIONS: [Specification; 6] = [
    has_steps,
    step_ids_are_unique,
    needs_exist,
    needs_have_no_cycle,
    conditions_read_what_exists,
    conditions_can_be_true,
];

/// Everything that `steps` break.
pub fn violations(steps: &[StepDefinition]) -> Vec<Violation> {
    STEP_SPECIFICATIONS.iter().flat_map(|holds| holds(steps)).collect()
}

/// There is at least one step.
pub fn has_steps(steps: &[StepDefinition]) -> Vec<Violation> {
    if steps.is_empty() { vec![Violation::NoSteps] } else { vec![] }
}

/// No two steps have the same id.
pub fn step_ids_are_unique(steps: &[StepDefinition]) -> Vec<Violation> {
    let mut seen = BTreeSet::new();
    let repeated: BTreeSet<_> =
        steps.iter().map(|step| &step.id).filter(|id| !seen.insert(*id)).collect();
    repeated.into_iter().map(|step| Violation::DuplicateId { step: step.clone() }).collect()
}

/// Every need names a step.
pub fn needs_exist(steps: &[StepDefinition]) -> Vec<Violation> {
    let known: BTreeSet<_> = steps.iter().map(|step| &step.id).collect();
    let pairs = steps.iter().flat_map(|step| step.needs.iter().map(move |need| (step, need)));
    pairs
        .filter(|(_, need)| !known.contains(need))
        .map(|(step, need)| Violation::UnknownNeed { step: step.id.clone(), need: need.clone() })
        .collect()
}

/// No step waits for itself, directly or through others. Each cycle is named once.
pub fn needs_have_no_cycle(steps: &[StepDefinition]) -> Vec<Violation> {
    let needs: BTreeMap<_, _> = steps.iter().map(|step| (&step.id, &step.needs)).collect();
    let mut search = CycleSearch {
        needs,
        done: BTreeSet::new(),
        on_path: BTreeSet::new(),
        path: Vec::new(),
        found: vec![],
    };
    for step in steps {
        search.visit(&step.id);
    }
    search.found
}

struct CycleSearch<'a> {
    needs: BTreeMap<&'a StepId, &'a Vec<StepId>>,
    done: BTreeSet<&'a StepId>,
    on_path: BTreeSet<&'a StepId>,
    path: Vec<(&'a StepId, usize)>,
    found: Vec<Violation>,
}

impl<'a> CycleSearch<'a> {
    /// A depth-first search with a stack of its own, so that a long chain cannot overflow ours.
    fn visit(&mut self, start: &'a StepId) {
        if self.done.contains(start) {
            return;
        }
        self.enter(start);
        while let Some((step, next)) = self.path.last().copied() {
            let need = self.needs.get(step).and_then(|needs| needs.get(next));
            let Some(need) = need else {
                self.done.insert(step);
                self.on_path.remove(step);
                self.path.pop();
                continue;
            };
            if let Some((_, next)) = self.path.last_mut() {
                *next += 1;
            }
            if self.on_path.contains(need) {
                let ring = self.path.iter().map(|(step, _)| *step).skip_while(|step| *step != need);
                let steps = ring.cloned().collect();
                self.found.push(Violation::Cycle { steps });
            } else if !self.done.contains(need) && self.needs.contains_key(need) {
                self.enter(need);
            }
        }
    }

    fn enter(&mut self, step: &'a StepId) {
        self.on_path.insert(step);
        self.path.push((step, 0));
    }
}

/// Every `steps.…` in a condition names a step, and an output field that its kind has.
pub fn conditions_read_what_exists(steps: &[StepDefinition]) -> Vec<Violation> {
    let known: BTreeMap<_, _> = steps.iter().map(|step| (step.id.as_str(), step)).collect();
    let mut found = Vec::new();
    for step in steps {
        for read in step.when.iter().flat_map(|condition| &condition.reads) {
            let Some(target) = known.get(read.step.as_str()) else {
                found.push(Violation::UnknownStepInCondition {
                    step: step.id.clone(),
                    named: read.step.clone(),
                });
                continue;
            };
            let fields = target.kind.output_fields();
            if let (Some(fields), Some(field)) = (fields, &read.output_field)
                && !fields.contains(&field.as_str())
            {
                found.push(Violation::UnknownOutputInCondition {
                    step: step.id.clone(),
                    named: target.id.clone(),
                    field: field.clone(),
                    kind: target.kind.as_str(),
                    known: fields.join(", "),
                });
            }
        }
    }
    found
}

/// No condition is false whatever happens.
pub fn conditions_can_be_true(steps: &[StepDefinition]) -> Vec<Violation> {
    let never = |step: &&StepDefinition| {
        step.when.as_ref().and_then(|condition| condition.constant) == Some(false)
    };
    steps
        .iter()
        .filter(never)
        .map(|step| Violation::ConstantlyFalse { step: step.id.clone() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Condition, StepReference,
        testing::{step, step_id, step_needing},
    };

    fn texts(violations: &[Violation]) -> Vec<String> {
        violations.iter().map(ToString::to_string).collect()
    }

    fn with_condition(id: &str, reads: &[(&str, Option<&str>)]) -> StepDefinition {
        let reads = reads.iter().map(|(step, field)| StepReference {
            step: (*step).to_owned(),
            output_field: field.map(str::to_owned),
        });
        let when = Condition { expression: "…".into(), reads: reads.collect(), constant: None };
        StepDefinition { when: Some(when), ..step(id) }
    }

    #[test]
    fn a_diamond_is_fine() {
        let steps = [
            step("a"),
            step_needing("b", &["a"]),
            step_needing("c", &["a"]),
            step_needing("d", &["b", "c"]),
        ];
        assert_eq!(violations(&steps), []);
    }

    #[test]
    fn no_step_at_all_is_refused() {
        assert_eq!(violations(&[]), [Violation::NoSteps]);
    }

    #[test]
    fn a_cycle_is_named_in_order() {
        let steps =
            [step_needing("a", &["c"]), step_needing("b", &["a"]), step_needing("c", &["b"])];
        assert_eq!(
            texts(&needs_have_no_cycle(&steps)),
            ["steps wait for each other: `a` needs `c` needs `b` needs `a`"]
        );
        let itself = [step_needing("a", &["a"])];
        assert_eq!(
            texts(&needs_have_no_cycle(&itself)),
            ["steps wait for each other: `a` needs `a`"]
        );
    }

    #[test]
    fn a_chain_of_100000_steps_is_no_problem() {
        let name = |n: usize| format!("s{n}");
        let steps: Vec<_> =
            (1..100_000).map(|n| step_needing(&name(n), &[name(n - 1).as_str()])).collect();
        assert_eq!(needs_have_no_cycle(&steps), []);
    }

    #[test]
    fn unknown_needs_and_duplicate_ids_are_named() {
        let steps = [step("a"), step("a"), step_needing("b", &["x"])];
        assert_eq!(
            texts(&violations(&steps)),
            ["step `a` is there twice", "step `b` needs `x`, which does not exist"]
        );
    }

    #[test]
    fn a_condition_must_read_what_exists() {
        let steps =
            [step("load"), with_condition("b", &[("lod", None), ("load", Some("recrods"))])];
        assert_eq!(
            texts(&conditions_read_what_exists(&steps)),
            [
                "the condition of step `b` reads `steps.lod`, which does not exist",
                "the condition of step `b` reads `steps.load.output.recrods`, but a sync step has only records, bytes, rejected, streams",
            ]
        );
    }

    #[test]
    fn a_condition_that_is_always_false_is_refused() {
        let mut steps = [with_condition("b", &[])];
        steps[0].when.as_mut().unwrap().constant = Some(false);
        assert_eq!(
            conditions_can_be_true(&steps),
            [Violation::ConstantlyFalse { step: step_id("b") }]
        );
        steps[0].when.as_mut().unwrap().constant = Some(true);
        assert_eq!(conditions_can_be_true(&steps), []);
    }
}
