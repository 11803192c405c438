//! What the steps of a plan ask for, and what they get.

use std::collections::BTreeMap;

use flexcore_app::{StepRights, plan_rights};
use flexcore_pipeline_file::ResolvedPipeline;
use flexcore_plugin_protocol::{Effective, Rule};

use crate::{
    failure::Failure,
    place::LocatedPipeline,
    report::{RightsPlan, StepPlan},
    session::Session,
};

/// Adds to each step what it gets. A step that asks for nothing has nothing to say.
pub(super) fn add(
    session: &Session<'_>,
    pipeline: &LocatedPipeline,
    resolved: &ResolvedPipeline,
    params: &[(String, String)],
    steps: &mut [StepPlan],
) -> Result<(), Failure> {
    let place = &pipeline.located.place;
    let rights = session.host.rights(place)?;
    let params = params.iter().cloned().collect();
    let mut host: BTreeMap<_, _> = place.project.dotenv.iter().cloned().collect();
    host.extend(session.host.environment().clone());
    let found = plan_rights(&rights, resolved, &params, &host)?;
    for plan in steps {
        let of_step = found.iter().find(|rights| rights.step.as_str() == plan.id);
        let asks = !plan.capabilities.is_empty() || !plan.limits.is_empty();
        plan.rights = of_step.filter(|_| asks).map(rights_plan);
    }
    Ok(())
}

fn rights_plan(rights: &StepRights) -> RightsPlan {
    let StepRights { effective, missing, unknown, .. } = rights;
    let texts = |effective: &Effective| RightsPlan {
        granted: effective.capabilities.iter().map(ToString::to_string).collect(),
        missing: effective.not_granted().map(ToString::to_string).collect(),
        lines: missing.as_ref().map(|missing| missing.lines.clone()),
        lowered: lowered(effective),
        unknown: unknown.clone(),
    };
    let nothing = || RightsPlan { unknown: unknown.clone(), ..RightsPlan::default() };
    effective.as_ref().map_or_else(nothing, texts)
}

fn lowered(effective: &Effective) -> Vec<String> {
    let by_grants = effective.lowered.iter().filter(|one| one.rule == Rule::Grants);
    by_grants
        .map(|one| {
            let (asked, allowed) = (one.name.show(one.asked), one.name.show(one.allowed));
            format!("{} from {asked} to {allowed}", one.name)
        })
        .collect()
}
