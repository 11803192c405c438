//! Programs that are started by what they may do: with a jail in every tier, and without one.

use std::fs;

use flexcore_domain::IsolationPlace;
use flexcore_plugin_protocol::{Capability, CapabilityKind, Effective, SandboxDemand};
use flexcore_sandbox::{
    Access, Containment, ControlState, ExitStatus, HostPort, Jailed, Limits, Network, Profile,
    SandboxMode, SandboxPolicy, Secret,
};

use super::cage::{Cage, Stage};
use crate::bench::text;

fn contain(effective: &Effective, mode: SandboxMode) -> Containment {
    let policy = SandboxPolicy { mode, require: Vec::new() };
    Containment::new(effective, &policy, Limits::generous()).unwrap()
}

async fn printed(jailed: &mut Jailed) -> String {
    let (stdout, stderr) = (jailed.stdout.take().unwrap(), jailed.stderr.take().unwrap());
    let (stdout, stderr) = tokio::join!(text(stdout), text(stderr));
    stdout + &stderr
}

/// A project with a state folder: seen but for that, whatever the tier.
#[tokio::test]
async fn a_hidden_folder_or_file_cannot_be_read_and_what_is_shown_from_inside_it_can() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let project = cage.folder.path().join("plugin");
        let state = project.join(".flexcore");
        fs::create_dir_all(state.join("kept")).unwrap();
        fs::write(state.join("log.db"), "secret").unwrap();
        fs::write(state.join("kept/mine"), "mine").unwrap();
        fs::write(project.join("open"), "open").unwrap();
        fs::write(project.join("token"), "secret").unwrap();
        let containment = contain(&Effective::default(), SandboxMode::BestEffort)
            .show(&project, Access::ReadOnly)
            .show(state.join("kept"), Access::ReadOnly)
            .hide(&state)
            .hide(project.join("token"));
        let script = "cat open .flexcore/kept/mine; cat .flexcore/log.db token; ls; \
                      for file in new log.db; do (echo x > .flexcore/$file) 2>&1; done \
                      | grep -Ec 'denied|Permission|Read-only'";
        let mut request = cage.request(&["/bin/sh", "-c", script]);
        request.cwd.clone_from(&project);
        let mut jailed = containment.spawn(&cage.jailer, request, &[]).await.unwrap();
        let printed = printed(&mut jailed).await;
        assert!(printed.starts_with("openmine"), "{stage:?}: {printed}");
        assert!(printed.contains("escape\nexhaust\nopen\ntoken\n2\n"), "{stage:?}: {printed}");
        assert!(!printed.contains("secret"), "{stage:?}: {printed}");
        jailed.wait().await;
        assert!(!state.join("new").exists());
        cage.assert_clean().await;
    }
}

#[tokio::test]
async fn without_a_jail_a_program_runs_as_ever_gets_its_secrets_and_is_recorded_as_free() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let containment = contain(&Effective::default(), SandboxMode::Off);
        let script = "eval \"cat <&${FLEXCORE_SECRET_FDS#*=}\"; ls -d /sys /etc/shadow; grep Seccomp: /proc/self/status";
        let mut request = cage.request(&["/bin/bash", "-c", script]);
        request.cwd = cage.folder.path().to_owned();
        let secret = Secret { name: "token".into(), value: b"value\n".to_vec() };
        let mut jailed = containment.spawn(&cage.jailer, request, &[secret]).await.unwrap();
        assert_eq!(
            printed(&mut jailed).await,
            "value\n/etc/shadow\n/sys\nSeccomp:\t0\n",
            "{stage:?}"
        );
        let isolation = containment.isolation(&jailed);
        assert_eq!(isolation.place, IsolationPlace::Unconfined, "{stage:?}");
        assert_eq!(isolation.controls, []);
        assert!(jailed.wait().await.status.is_success());
        cage.assert_clean().await;
    }
}

/// What an ordinary machine's programs need, a machine without namespaces must not take from them.
#[tokio::test]
async fn where_only_ports_can_be_held_the_report_says_so_and_other_ports_are_refused() {
    let cage = Cage::new(Stage::Restricted).await;
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = closed.local_addr().unwrap().port();
    let grant = format!("tcp://127.0.0.1:{port}");
    let capability = Capability::from_parts(CapabilityKind::Network, Some(&grant)).unwrap();
    let effective =
        Effective { capabilities: [capability].into_iter().collect(), ..Effective::default() };
    let script = "import socket, sys
for port in sys.argv[1:]:
    try: socket.create_connection(('127.0.0.1', int(port)), timeout=10); print('reached')
    except OSError as error: print(error.strerror)";
    let argv = ["/usr/bin/python3", "-c", script, &port.to_string(), &other.to_string()];
    let mut request = cage.request(&argv);
    request.cwd = "/usr".into();
    let containment = contain(&effective, SandboxMode::BestEffort);
    let mut jailed = containment.spawn(&cage.jailer, request.clone(), &[]).await.unwrap();
    assert_eq!(printed(&mut jailed).await, "reached\nPermission denied\n");
    let egress = jailed.report.controls.last().unwrap();
    assert_eq!((egress.name.as_str(), egress.state), ("egress", ControlState::BestEffort));
    jailed.wait().await;
    let strict = contain(&effective, SandboxMode::Strict);
    let refused = strict.spawn(&cage.jailer, request, &[]).await.unwrap_err();
    assert!(refused.to_string().contains("egress"), "{refused}");
    drop((server, closed));
    cage.assert_clean().await;
}

#[tokio::test]
async fn the_strict_profile_runs_common_programs_and_ends_those_that_ask_for_more() {
    for stage in Stage::with_namespaces() {
        let cage = Cage::new(stage).await;
        let demand = SandboxDemand {
            profile: flexcore_plugin_protocol::SandboxProfile::Strict,
            require: vec!["seccomp".into(), "pid_ns".into()],
            strict: Some(true),
        };
        let containment =
            contain(&Effective::default(), SandboxMode::BestEffort).demanding(&demand).unwrap();
        let containment = containment.show(cage.folder.path().join("plugin"), Access::ReadOnly);
        let script = "import subprocess, threading, tempfile, ssl, asyncio
threading.Thread(target=lambda: None).start()
asyncio.run(asyncio.sleep(0))
print(subprocess.run(['/bin/echo', 'x'], capture_output=True).stdout.decode().strip())";
        let mut request = cage.request(&["/usr/bin/python3", "-c", script]);
        request.cwd = "/tmp".into();
        let mut jailed = containment.spawn(&cage.jailer, request.clone(), &[]).await.unwrap();
        assert_eq!(printed(&mut jailed).await, "x\n", "{stage:?}");
        assert!(jailed.wait().await.status.is_success(), "{stage:?}");
        let escape = cage.folder.path().join("plugin/escape");
        request.argv = vec![escape.into(), "one-call".into()];
        let jailed = containment.spawn(&cage.jailer, request, &[]).await.unwrap();
        assert_eq!(jailed.wait().await.status, ExitStatus::Signal(31), "{stage:?}: SIGSYS");
        cage.assert_clean().await;
    }
}

#[tokio::test]
async fn a_profile_without_sockets_has_none() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let mut spec = cage.spec();
        spec.profile = Profile::Compute;
        if stage.has_namespaces() {
            spec.network = Network::Only(vec![HostPort { host: "127.0.0.1".into(), port: 1 }]);
        }
        let script = "import socket
for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6):
    try: socket.socket(family); print('made')
    except OSError: print('refused')";
        let (printed, _) = cage.run(&["/usr/bin/python3", "-c", script], spec, &[]).await;
        assert_eq!(printed, "refused\n".repeat(3), "{stage:?}");
        cage.assert_clean().await;
    }
}
