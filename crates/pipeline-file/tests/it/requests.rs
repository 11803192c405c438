//! `capabilities` and `limits` of steps.

use flexcore_plugin_protocol::LimitName;

use crate::support::{errors, project, resolved_in, scope};

fn step(request: &str) -> String {
    format!("pipeline: orders\nsteps:\n  - id: load\n{request}    command: {{ argv: [x] }}\n")
}

#[test]
fn a_request_is_merged_and_rendered() {
    let project = project(
        "environments: { prod: { pipelines: { orders: { steps: { load: \
         { limits: { memory: 4GiB } } } } } } }\n",
    );
    let text = step(
        "    capabilities: { network: ['tcp://{{ \"db\" }}:5432'] }\n    limits: { cpu: 0.5 }\n",
    );
    let resolved = resolved_in(&project, &text, "prod");
    let request = resolved.steps[0].render_request(&scope()).unwrap();
    let asked: Vec<String> = request.capabilities.asked.iter().map(ToString::to_string).collect();
    assert_eq!(asked, ["network tcp://db:5432"]);
    assert_eq!(request.limits.get(LimitName::Memory), Some(4 << 30));
    assert_eq!(request.limits.get(LimitName::Cpu), Some(500));
    assert_eq!(resolved.steps[0].render(&scope()).unwrap().request, request);
}

#[test]
fn what_can_be_read_before_a_run_is_checked_before_it() {
    insta::assert_snapshot!(errors(&step(
        "    capabilities:\n      network: ['tcp://db:5432', db, 'tcp://{{ params.host }}:1']\n      \
         fs_read: [/, ../x]\n      secrets: ['hunter 2']\n      exec: false\n    \
         limits: { memory: 0B, pids: 0 }\n"
    )));
}
