//! Jails: what a machine enforces, what held the programs of a step, and what `doctor` found.

use flexcore_api::{
    CapabilityUseView, DoctorReport, DoctorState, IsolationView, SandboxReportView,
    StepSandboxView, StepView,
};

use super::{Align, Style, Table, builder::Text, bytes_text, count_text, printable};

/// What a jail enforces on this machine, and what to do where it does not.
pub(crate) fn sandbox_text(report: &SandboxReportView, style: Style) -> String {
    let mut text = Text::default();
    text.fact(style, "tier", &report.tier);
    text.fact(style, "kernel", &report.kernel);
    text.fact(style, "policy", &report.policy);
    text.push("\n");
    text.push(controls_table(report, style));
    text.push(remedies(report, style));
    text.finish()
}

fn controls_table(report: &SandboxReportView, style: Style) -> String {
    let mut table = Table::new([
        ("control", Align::Left),
        ("state", Align::Left),
        ("required", Align::Left),
        ("by", Align::Left),
    ]);
    for control in &report.controls {
        table.row([
            control.name.clone(),
            state_text(&control.state),
            if control.required { "yes".to_owned() } else { String::new() },
            control.detail.as_deref().map(printable).unwrap_or_default(),
        ]);
    }
    table.text(style)
}

/// Each remedy once, with the controls that it is for.
fn remedies(report: &SandboxReportView, style: Style) -> String {
    let mut remedies: Vec<(&str, Vec<&str>)> = Vec::new();
    for control in &report.controls {
        let Some(remedy) = control.remedy.as_deref() else { continue };
        match remedies.iter_mut().find(|(known, _)| *known == remedy) {
            Some((_, controls)) => controls.push(&control.name),
            None => remedies.push((remedy, vec![&control.name])),
        }
    }
    let line = |(remedy, controls): (&str, Vec<&str>)| {
        format!("\n{}: {remedy}\n", style.yellow(controls.join(", ")))
    };
    remedies.into_iter().map(line).collect()
}

fn state_text(state: &str) -> String {
    state.replace('_', " ")
}

/// Everything that was looked at, and then the controls.
pub(crate) fn doctor_text(report: &DoctorReport, style: Style) -> String {
    let mut text = Text::default();
    for check in &report.checks {
        let mark = match check.state {
            DoctorState::Good => style.green("ok"),
            DoctorState::Warning => style.yellow("note"),
            DoctorState::Failed => style.red("FAILED"),
        };
        text.line(format!("{mark}  {}: {}", style.bold(&check.name), printable(&check.detail)));
        if let Some(remedy) = &check.remedy {
            text.line(format!("      {}", style.dim(printable(remedy))));
        }
    }
    if let Some(sandbox) = &report.sandbox {
        text.push("\n");
        text.push(controls_table(sandbox, style));
        text.push(remedies(sandbox, style));
    }
    let end =
        if report.ready { "nothing here would stop a run" } else { "runs cannot succeed here" };
    text.line(format!("\n{end}"));
    text.finish()
}

/// What held the programs of each step, in a few lines; empty if none ran.
pub(crate) fn sandboxes_text(steps: &[StepView], style: Style) -> String {
    let mut text = Text::default();
    for step in steps {
        let Some(sandbox) = &step.sandbox else { continue };
        text.push(sandbox_of_step(&step.id, sandbox, style));
    }
    text.finish()
}

fn sandbox_of_step(step: &str, sandbox: &StepSandboxView, style: Style) -> String {
    let mut text = Text::default();
    for program in &sandbox.programs {
        let part = program.part.as_deref().map(|part| format!(" {part}")).unwrap_or_default();
        text.line(format!("{}{part}: {}", style.bold(step), held_text(program)));
    }
    let listed = |capabilities: &[String]| {
        capabilities.iter().map(|one| printable(one)).collect::<Vec<_>>().join(", ")
    };
    if !sandbox.granted.is_empty() {
        text.line(format!("  may: {}", listed(&sandbox.granted)));
    }
    if !sandbox.refused.is_empty() {
        text.line(format!("  {}: {}", style.yellow("refused"), listed(&sandbox.refused)));
    }
    for used in &sandbox.uses {
        text.line(format!("  {}", use_text(used, style)));
    }
    text.finish()
}

/// Where a program ran, and the controls that were less than enforced.
fn held_text(program: &IsolationView) -> String {
    let place = match &program.tier {
        Some(tier) => format!("jail, tier {tier}"),
        None => program.place.replace('_', " "),
    };
    let weak: Vec<String> = program
        .controls
        .iter()
        .filter(|control| control.state != "enforced")
        .map(|control| format!("{} {}", control.name, state_text(&control.state)))
        .collect();
    let enforced = program.controls.len() - weak.len();
    match (program.controls.is_empty(), weak.is_empty()) {
        (true, _) => place,
        (false, true) => format!("{place}, all {enforced} controls enforced"),
        (false, false) => format!("{place}, {enforced} controls enforced; {}", weak.join(", ")),
    }
}

fn use_text(used: &CapabilityUseView, style: Style) -> String {
    let verb = if used.allowed { "used".to_owned() } else { style.yellow("tried in vain") };
    let times = if used.times == 1 {
        "once".to_owned()
    } else {
        format!("{} times", count_text(used.times))
    };
    let bytes = match used.bytes {
        0 => String::new(),
        bytes => format!(", {}", bytes_text(bytes)),
    };
    format!("{verb}: {} {times}{bytes}", printable(&used.capability))
}

#[cfg(test)]
mod tests {
    use flexcore_api::{ControlView, DoctorCheck, ProbedControl};

    use super::*;

    fn report() -> SandboxReportView {
        let control = |name: &str, state: &str, required, remedy: Option<&str>| ProbedControl {
            name: name.into(),
            state: state.into(),
            required,
            detail: (name == "memory").then(|| "watchdog".to_owned()),
            remedy: remedy.map(str::to_owned),
        };
        SandboxReportView {
            policy: "best_effort".into(),
            tier: "user_ns".into(),
            kernel: "6.18.44".into(),
            controls: vec![
                control("mount_ns", "enforced", true, None),
                control("memory", "best_effort", false, Some("run it as root")),
                control("pids", "unavailable", false, Some("run it as root")),
            ],
            strict_ok: true,
        }
    }

    #[test]
    fn a_report_has_every_control_and_each_remedy_once() {
        insta::assert_snapshot!(sandbox_text(&report(), Style::PLAIN));
    }

    #[test]
    fn a_look_says_what_is_wrong_and_what_to_do() {
        let check = |name: &str, state, remedy: Option<&str>| DoctorCheck {
            name: name.into(),
            state,
            detail: "found".into(),
            remedy: remedy.map(str::to_owned),
        };
        let report = DoctorReport {
            checks: vec![
                check("sandbox", DoctorState::Good, None),
                check("uv", DoctorState::Warning, Some("install it")),
                check("store", DoctorState::Failed, Some("start it")),
            ],
            sandbox: Some(report()),
            ready: false,
        };
        insta::assert_snapshot!(doctor_text(&report, Style::PLAIN));
    }

    #[test]
    fn the_jails_of_a_step_show_what_is_weak_and_what_was_used() {
        let control = |name: &str, state: &str| ControlView {
            name: name.into(),
            state: state.into(),
            required: true,
            detail: None,
        };
        let sandbox = StepSandboxView {
            attempt: 1,
            programs: vec![
                IsolationView {
                    part: Some("tap".into()),
                    place: "jail".into(),
                    tier: Some("root".into()),
                    controls: vec![
                        control("seccomp", "enforced"),
                        control("memory", "best_effort"),
                    ],
                },
                IsolationView {
                    part: Some("target".into()),
                    place: "unconfined".into(),
                    tier: None,
                    controls: vec![],
                },
            ],
            granted: vec!["network tcp://db:5432".into()],
            refused: vec!["gpu".into()],
            uses: vec![
                CapabilityUseView {
                    capability: "network tcp://db:5432".into(),
                    allowed: true,
                    times: 2,
                    bytes: 2_048,
                },
                CapabilityUseView {
                    capability: "network".into(),
                    allowed: false,
                    times: 1,
                    bytes: 0,
                },
            ],
        };
        insta::assert_snapshot!(sandbox_of_step("load", &sandbox, Style::PLAIN));
    }
}
