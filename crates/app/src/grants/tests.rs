use flexcore_plugin_protocol::{CapabilityRequest, LimitName};
use flexcore_ports::GrantsError;

use super::*;

/// Grants that a test wrote.
struct Written(&'static str);

impl OperatorGrants for Written {
    fn grants(&self) -> Result<Arc<Grants>, GrantsError> {
        Ok(Arc::new(Grants::parse("grants.toml", self.0).unwrap()))
    }
}

fn rights(grants: &'static str) -> ProjectRights {
    ProjectRights {
        grants: Arc::new(Written(grants)),
        grants_file: "/srv/project/.flexcore/grants.toml".into(),
        root: "/srv/project".into(),
        writable: vec!["/srv/project/out".into()],
        hidden: vec![],
        private_home: true,
    }
}

fn request(capabilities: &[(CapabilityKind, Option<&str>)]) -> StepRequest {
    let one = |(kind, target): &(CapabilityKind, Option<&str>)| {
        Capability::from_parts(*kind, *target).unwrap()
    };
    let stated = capabilities.iter().map(|(kind, _)| *kind).collect();
    let asked = capabilities.iter().map(one).collect();
    StepRequest {
        capabilities: CapabilityRequest { stated, asked },
        limits: [(LimitName::Memory, 8 << 30)].into_iter().collect(),
    }
}

fn effective_of(grants: &'static str, request: &StepRequest, plugins: &[&str]) -> Effective {
    let (pipeline, step) = ("sales".parse().unwrap(), "load".parse().unwrap());
    let plugins = plugins.iter().map(|name| (*name).to_owned()).collect();
    let asking = Asking { pipeline: &pipeline, step: &step, plugins };
    rights(grants).of(&asking, request).unwrap()
}

fn missing(grants: &'static str, request: &StepRequest) -> Option<MissingGrants> {
    let (pipeline, step) = ("sales".parse().unwrap(), "load".parse().unwrap());
    let asking = Asking { pipeline: &pipeline, step: &step, plugins: vec![] };
    match rights(grants).of_attempt(&asking, request) {
        Ok(_) => None,
        Err(UseCaseError::NotGranted(missing)) => Some(*missing),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_project_and_secrets_need_no_grant() {
    let request = request(&[
        (CapabilityKind::FsRead, Some("data/in")),
        (CapabilityKind::FsWrite, Some("out/deep")),
        (CapabilityKind::Secrets, Some("token")),
        (CapabilityKind::Exec, None),
    ]);
    assert_eq!(missing("grants = 1\n", &request), None);
}

#[test]
fn what_nobody_granted_is_refused_with_its_lines() {
    let request = request(&[
        (CapabilityKind::Network, Some("tcp://db:5432")),
        (CapabilityKind::FsWrite, Some("elsewhere")),
    ]);
    let missing = missing("grants = 1\n", &request).unwrap();
    assert!(
        missing.to_string().starts_with("step `load` of `sales` asks for `network tcp://db:5432`")
    );
    assert_eq!(
        missing.lines,
        "[[grant]]\npipeline = \"sales\"\nstep = \"load\"\nnetwork = [\"tcp://db:5432\"]\n\
         fs_write = [\"/srv/project/elsewhere\"]\n"
    );
    assert!(missing.hint().contains("/srv/project/.flexcore/grants.toml"));
}

#[test]
fn a_grant_counts_for_its_pipeline_its_step_and_the_plugins_of_a_sync() {
    let request = request(&[(CapabilityKind::Network, Some("tcp://db:5432"))]);
    let granted = |grants, plugins: &[&str]| {
        effective_of(grants, &request, plugins).not_granted().count() == 0
    };
    let of = "grants = 1\n[[grant]]\npipeline = \"sales\"\nnetwork = [\"tcp://db:5432\"]\n";
    assert!(granted(of, &[]));
    let of = "grants = 1\n[[grant]]\npipeline = \"other\"\nnetwork = [\"tcp://db:5432\"]\n";
    assert!(!granted(of, &[]));
    let of = "grants = 1\n[[grant]]\nplugin = \"tap-db\"\nnetwork = [\"tcp://db:5432\"]\n";
    assert!(granted(of, &["tap-db", "target-x"]));
    assert!(!granted(of, &["target-x"]));
}

#[test]
fn the_operator_lowers_limits() {
    let effective = effective_of("grants = 1\n[limits]\nmemory = \"1GiB\"\n", &request(&[]), &[]);
    assert_eq!(effective.limits.get(LimitName::Memory), Some(1 << 30));
    assert_eq!(effective.lowered.len(), 1);
}

#[test]
fn several_steps_are_refused_at_once() {
    let one = |step: &str| MissingGrants {
        what: vec![format!("step `{step}` asks")],
        lines: format!("[[grant]] # {step}\n"),
        file: "grants.toml".into(),
    };
    let all = MissingGrants::all([one("a"), one("b")]).unwrap();
    assert_eq!(all.to_string(), "step `a` asks; step `b` asks");
    assert_eq!(all.lines, "[[grant]] # a\n\n[[grant]] # b\n");
    assert_eq!(MissingGrants::all([]), None);
}
