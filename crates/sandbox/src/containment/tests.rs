use std::os::unix::fs::symlink;

use flexcore_domain::IsolationPlace;
use flexcore_plugin_protocol::{Capabilities, Capability, CapabilityKind, LimitName};

use super::*;
use crate::{Control, GrantUse, SandboxReport, Tier};

fn effective(capabilities: &[(CapabilityKind, Option<&str>)]) -> Effective {
    let parts = capabilities.iter().copied();
    let one = |(kind, target)| Capability::from_parts(kind, target).unwrap();
    let capabilities: Capabilities = parts.map(one).collect();
    Effective { capabilities, ..Effective::default() }
}

fn contain(effective: &Effective) -> Result<Containment, ContainmentError> {
    Containment::new(effective, &SandboxPolicy::default(), Limits::default())
}

#[test]
fn rights_become_grants_binds_and_variables() {
    let effective = effective(&[
        (CapabilityKind::Network, Some("tcp://db.example.com:5432")),
        (CapabilityKind::Network, Some("https://[::1]:443")),
        (CapabilityKind::FsRead, Some("/data/in")),
        (CapabilityKind::FsWrite, Some("/data/out")),
        (CapabilityKind::FsWrite, Some("scratch")),
        (CapabilityKind::Env, Some("TZ")),
        (CapabilityKind::Env, Some("UNSET")),
        (CapabilityKind::Exec, None),
    ]);
    let containment = contain(&effective).unwrap();
    let spec = containment.spec().unwrap();
    let hosts: Vec<String> = spec.network.grants().iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["db.example.com:5432", "[::1]:443"]);
    let binds: Vec<_> = spec.binds.iter().map(|bind| (bind.target.clone(), bind.access)).collect();
    assert_eq!(
        binds,
        [("/data/in".into(), Access::ReadOnly), ("/data/out".into(), Access::ReadWrite)]
    );
    assert!(containment.has_scratch());
    let variables = containment.environment(|name| (name == "TZ").then(|| "UTC".into()));
    assert_eq!(variables, [("TZ".into(), "UTC".into())]);
}

#[test]
fn stated_limits_replace_those_of_the_base() {
    let limits = [(LimitName::Memory, 1 << 20), (LimitName::Cpu, 500), (LimitName::Disk, 7)];
    let effective = Effective { limits: limits.into_iter().collect(), ..Effective::default() };
    let base = Limits { pids: 4_096, ..Limits::default() };
    let spec = Containment::new(&effective, &SandboxPolicy::default(), base).unwrap().spec();
    let spec = spec.unwrap();
    assert_eq!((spec.limits.memory_bytes, spec.limits.cpu_milli), (1 << 20, Some(500)));
    assert_eq!((spec.limits.pids, spec.tmp_bytes), (4_096, 7));
}

#[test]
fn what_no_jail_can_give_is_refused_by_name() {
    let gpu = contain(&effective(&[(CapabilityKind::Gpu, None)])).unwrap_err();
    assert_eq!(gpu.to_string(), "`gpu` is granted, but no jail can give it to a program");
    let relative = contain(&effective(&[(CapabilityKind::FsRead, Some("in"))])).unwrap_err();
    assert_eq!(relative, ContainmentError::NoProject { path: "in".into() });
    let demand = SandboxDemand { require: vec!["moat".into()], ..SandboxDemand::default() };
    let unknown = contain(&Effective::default()).unwrap().demanding(&demand).unwrap_err();
    assert!(unknown.to_string().starts_with("`moat` is no control of a jail; there are: pid_ns,"));
}

#[test]
fn nothing_is_granted_from_a_hidden_folder_but_things_may_be_shown_from_it() {
    let granted = effective(&[(CapabilityKind::FsRead, Some("/nowhere/.flexcore/log.db"))]);
    let hiding = contain(&granted).unwrap().hide("/nowhere/.flexcore");
    assert!(matches!(hiding.spec(), Err(ContainmentError::Hidden { .. })));
    let shown = contain(&Effective::default()).unwrap().hide("/nowhere/.flexcore");
    let spec = shown.show("/nowhere/.flexcore/work", Access::ReadWrite).spec().unwrap();
    assert_eq!(spec.hidden, [PathBuf::from("/nowhere/.flexcore")]);
    assert_eq!(spec.binds.len(), 1);
}

#[test]
fn a_link_is_shown_where_it_leads_and_under_its_name_only_if_nothing_else_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let (project, elsewhere) = (root.join("project"), root.join("elsewhere"));
    for path in [&project, &elsewhere] {
        std::fs::create_dir(path).unwrap();
    }
    symlink(&elsewhere, project.join("out")).unwrap();
    let base = contain(&Effective::default()).unwrap();
    let alone = base.clone().show(project.join("out"), Access::ReadWrite).spec().unwrap();
    let targets = |spec: &JailSpec| -> Vec<PathBuf> {
        spec.binds.iter().map(|bind| bind.target.clone()).collect()
    };
    assert_eq!(targets(&alone), [elsewhere.clone(), project.join("out")]);
    let inside = base.show(&project, Access::ReadOnly).show(project.join("out"), Access::ReadWrite);
    assert_eq!(targets(&inside.spec().unwrap()), [project, elsewhere]);
}

#[test]
fn a_report_and_uses_become_records() {
    let effective = effective(&[(CapabilityKind::Network, Some("https://api.example.com:443"))]);
    let containment = contain(&effective).unwrap().part("tap");
    let controls = vec![Control::enforced(ControlName::Memory).via("cgroup1").limit(5)];
    let report = SandboxReport::conclude(Tier::UserNs, controls, &[ControlName::Memory]);
    let isolation = containment.isolation_of(&report);
    assert_eq!(isolation.part, "tap");
    assert_eq!(isolation.place, IsolationPlace::Jail { tier: "user_ns".into() });
    let record = &isolation.controls[0];
    assert_eq!((record.name.as_str(), record.state.as_str()), ("memory", "enforced"));
    assert_eq!((record.required, record.detail.as_str()), (true, "cgroup1, limit 5"));

    let connects = GrantUse {
        grant: HostPort { host: "api.example.com".into(), port: 443 },
        connections: 2,
        failed: 1,
        refused: 4,
        bytes_sent: 10,
        bytes_received: 20,
    };
    let uses = containment.uses(&[connects]);
    let name = "network https://api.example.com:443";
    assert!(uses.iter().all(|used| used.capability == name), "{uses:?}");
    assert_eq!(
        uses.iter().map(|u| (u.allowed, u.times, u.bytes)).collect::<Vec<_>>(),
        [(true, 3, 30), (false, 4, 0)]
    );
}

#[test]
fn without_a_jail_it_is_said_that_there_is_none() {
    let off = SandboxPolicy { mode: SandboxMode::Off, require: vec![] };
    let containment = Containment::new(&Effective::default(), &off, Limits::default()).unwrap();
    assert!(containment.spec().unwrap().off);
    let report = SandboxReport::conclude(Tier::None, vec![], &[]);
    assert_eq!(containment.isolation_of(&report).place, IsolationPlace::Unconfined);
}
