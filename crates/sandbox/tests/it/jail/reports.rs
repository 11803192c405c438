//! What is said about a jail, and what is refused for it.

use std::path::Path;

use flexcore_sandbox::{
    ControlName, ControlState, JailError, JailerOptions, SandboxReport, Tier, probe,
};

use super::cage::{Cage, Stage};

#[tokio::test]
async fn a_report_names_its_tier_and_what_holds() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let jailed = cage.spawn(&["/bin/true"], cage.spec()).await;
        let report = jailed.report.clone();
        let tier = match stage {
            Stage::Root => Tier::Root,
            Stage::RootInUserNamespace | Stage::Ordinary => Tier::UserNs,
            Stage::Restricted => Tier::Restricted,
        };
        assert_eq!(report.tier, tier, "{stage:?}");
        assert!(report.strict_ok, "{stage:?}: {report:?}");
        assert!(report.enforces(ControlName::Seccomp) && report.enforces(ControlName::NoNewPrivs));
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<SandboxReport>(&json).unwrap(), report);
        jailed.wait().await;
        cage.assert_clean().await;
    }
}

#[tokio::test]
async fn a_strict_jail_that_lacks_a_control_starts_nothing_and_names_it() {
    let cage = Cage::new(Stage::Restricted).await;
    let mut spec = cage.spec();
    spec.required.push(ControlName::NetNs);
    let script = format!("touch {}/started", cage.seen("scratch").display());
    let refused = cage.try_spawn(&["/bin/sh", "-c", &script], spec.clone()).await.unwrap_err();
    let JailError::Missing { report } = &refused else { panic!("{refused:?}") };
    assert_eq!(report.missing(), [ControlName::NetNs]);
    assert!(refused.to_string().contains("net_ns (allow network namespaces"), "{refused}");
    assert!(!cage.folder.path().join("scratch/started").exists());

    spec.strict = false;
    let jailed = cage.spawn(&["/bin/true"], spec).await;
    assert!(jailed.report.degraded.contains(&ControlName::NetNs));
    assert!(!jailed.report.strict_ok);
    jailed.wait().await;
    cage.assert_clean().await;
}

#[tokio::test]
async fn groups_that_the_operator_does_not_want_are_not_made_and_said_to_be_so() {
    let options = JailerOptions { control_groups: false, own_users: true };
    let cage = Cage::with_options(Stage::all()[0], options).await;
    let mut spec = cage.spec();
    spec.limits.cpu_milli = Some(100);
    let jailed = cage.spawn(&["/bin/true"], spec).await;
    let cpu = jailed.report.control(ControlName::Cpu).unwrap();
    assert_eq!(cpu.state, ControlState::DisabledByOperator);
    let memory = jailed.report.control(ControlName::Memory).unwrap();
    assert_eq!(memory.state, ControlState::BestEffort);
    jailed.wait().await;
    cage.assert_clean().await;
}

#[tokio::test]
async fn a_bind_that_does_not_exist_and_a_program_that_is_not_shown_are_named() {
    let cage = Cage::new(Stage::with_namespaces()[0]).await;
    let mut spec = cage.spec();
    spec.binds[0].source = "/does/not/exist".into();
    let refused = cage.try_spawn(&["/bin/true"], spec).await.unwrap_err();
    assert!(refused.to_string().contains("/does/not/exist"), "{refused}");
    let refused = cage.try_spawn(&["/opt/missing"], cage.spec()).await.unwrap_err();
    assert!(matches!(refused, JailError::Program { .. }), "{refused:?}");
    assert!(refused.to_string().contains("/opt/missing"), "{refused}");
    cage.assert_clean().await;
}

#[tokio::test]
async fn a_probe_says_what_a_jail_then_enforces() {
    let executable = Path::new(env!("CARGO_BIN_EXE_flexcore-sandbox-probe"));
    let probed = probe(executable, JailerOptions::default()).await.unwrap();
    let cage = Cage::new(Stage::all()[0]).await;
    let jailed = cage.spawn(&["/bin/true"], cage.spec()).await;
    assert_eq!(probed.tier, jailed.report.tier);
    for control in &jailed.report.controls {
        let before = probed.control(control.name).map(|control| control.state);
        assert_eq!(before, Some(control.state), "{}", control.name);
    }
    for control in &probed.controls {
        let holds =
            matches!(control.state, ControlState::Enforced | ControlState::DisabledByOperator);
        assert_eq!(control.remedy().is_none(), holds, "{}", control.name);
    }
    jailed.wait().await;
}
