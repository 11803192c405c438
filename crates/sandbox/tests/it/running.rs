//! What a program sees, and what its caller gets from it.

use std::{fs::File, io::Write as _};

use flexcore_sandbox::{ExitStatus, Isolation, IsolationPolicy, Stdin};

use crate::bench::{Bench, TIERS, stat_field, text};

#[tokio::test]
async fn exit_codes_and_signals_are_reported() {
    for tier in TIERS {
        let bench = Bench::new(tier).await;
        for (script, status) in [
            ("exit 0", ExitStatus::Code(0)),
            ("exit 7", ExitStatus::Code(7)),
            ("kill -SEGV $$", ExitStatus::Signal(11)),
            ("kill -KILL $$", ExitStatus::Signal(9)),
        ] {
            let spawned = bench.script(script).await;
            assert_eq!(spawned.process.wait().await, status, "{script} in {tier:?}");
            assert_eq!(spawned.process.wait().await, status, "asked twice");
        }
    }
}

#[tokio::test]
async fn standard_streams_are_connected_and_apart() {
    for tier in TIERS {
        let bench = Bench::new(tier).await;
        let mut request = bench.request(&["/bin/sh", "-c", "cat; echo complaint >&2"]);
        request.stdin = Stdin::Pipe;
        let spawned = bench.launcher.spawn(request).await.unwrap();
        let mut stdin = File::from(spawned.stdin.unwrap());
        stdin.write_all(b"through the pipe").unwrap();
        drop(stdin);
        assert_eq!(text(spawned.stdout).await, "through the pipe");
        assert_eq!(text(spawned.stderr).await, "complaint\n");
        assert!(spawned.process.wait().await.is_success());
    }
}

#[tokio::test]
async fn standard_input_is_empty_unless_a_pipe_was_asked_for() {
    let bench = Bench::new(IsolationPolicy::Strongest).await;
    let spawned = bench.script("cat").await;
    assert!(spawned.stdin.is_none());
    assert_eq!(text(spawned.stdout).await, "");
}

#[tokio::test]
async fn the_environment_is_what_was_given_and_the_attempt() {
    for tier in TIERS {
        let bench = Bench::new(tier).await;
        let mut request = bench.request(&["/usr/bin/env"]);
        request.environment = vec![("NAME".into(), "value".into())];
        let spawned = bench.launcher.spawn(request).await.unwrap();
        let expected = format!("FLEXCORE_ATTEMPT={}\nNAME=value\n", bench.marker("attempt"));
        assert_eq!(text(spawned.stdout).await, expected);
    }
}

#[tokio::test]
async fn nothing_of_the_server_can_be_read_from_the_launcher_or_an_init() {
    for tier in TIERS {
        let bench = Bench::new(tier).await;
        let spawned = bench.script("cat").await;
        spawned.process.wait().await;
        let spawned = bench.script("echo here; exec sleep 1000").await;
        let init = stat_field(spawned.process.pid(), 4);
        let launcher = stat_field(init, 4);
        for pid in [init, launcher] {
            // To an ordinary user an init shows nothing at all.
            match std::fs::read(format!("/proc/{pid}/environ")) {
                Ok(shown) => assert_eq!(String::from_utf8_lossy(&shown), "LAUNCHER_ONLY=1\0"),
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
            }
        }
        spawned.process.kill().await;
    }
}

#[tokio::test]
async fn a_program_starts_with_default_signals_and_no_foreign_descriptor() {
    for tier in TIERS {
        let bench = Bench::new(tier).await;
        let status = ["grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status"];
        let spawned = bench.launcher.spawn(bench.request(&status)).await.unwrap();
        let nothing = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n";
        assert_eq!(text(spawned.stdout).await, nothing, "blocked and ignored in {tier:?}");

        let descriptors = bench.request(&["ls", "/proc/self/fd"]);
        let spawned = bench.launcher.spawn(descriptors).await.unwrap();
        // The fourth descriptor is the folder that ls reads.
        assert_eq!(text(spawned.stdout).await, "0\n1\n2\n3\n");
    }
}

#[tokio::test]
async fn a_program_leads_a_session_without_a_terminal() {
    for tier in TIERS {
        let bench = Bench::new(tier).await;
        let spawned = bench.script("exec sleep 1000").await;
        let pid = spawned.process.pid();
        assert_eq!((stat_field(pid, 5), stat_field(pid, 6)), (pid, pid), "group and session");
        assert_eq!(stat_field(pid, 7), 0, "no terminal");
        assert_eq!(spawned.process.kill().await, ExitStatus::Signal(9));
    }
}

#[tokio::test]
async fn a_program_with_a_pid_namespace_sees_its_own_processes_only() {
    for tier in [IsolationPolicy::Strongest, IsolationPolicy::UserNamespace] {
        let bench = Bench::new(tier).await;
        let spawned = bench.script("echo $$; echo /proc/[0-9]*; id -u").await;
        // Containers may forbid the namespace or the mount; the report must then say so.
        if spawned.process.isolation() == (Isolation::PidNamespace { own_proc: true }) {
            let seen = text(spawned.stdout).await;
            let uid = std::fs::metadata("/proc/self").map(|own| {
                use std::os::unix::fs::MetadataExt as _;
                own.uid()
            });
            assert_eq!(seen, format!("2\n/proc/1 /proc/2\n{}\n", uid.unwrap()));
        } else {
            let seen = text(spawned.stdout).await;
            assert!(!seen.starts_with("2\n/proc/1 /proc/2\n"), "{seen}");
        }
    }
}

#[tokio::test]
async fn the_forced_tier_is_the_reported_one() {
    let bench = Bench::new(IsolationPolicy::ProcessGroup).await;
    let spawned = bench.script("exit 0").await;
    assert_eq!(spawned.process.isolation(), Isolation::ProcessGroup);
}

#[tokio::test]
async fn programs_are_found_in_the_path_of_their_own_environment() {
    let bench = Bench::new(IsolationPolicy::Strongest).await;
    let folder = bench.folder.path().join("bin");
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink("/bin/echo", folder.join("my-echo")).unwrap();
    let mut request = bench.request(&["my-echo", "found"]);
    request.environment = vec![("PATH".into(), folder.into())];
    let spawned = bench.launcher.spawn(request).await.unwrap();
    assert_eq!(text(spawned.stdout).await, "found\n");
}

#[tokio::test]
async fn an_order_longer_than_a_packet_arrives_whole() {
    let bench = Bench::new(IsolationPolicy::Strongest).await;
    let long = "x".repeat(100_000);
    let mut request = bench.request(&["/bin/sh", "-c", "printf %s \"$A$B$C\" | wc -c"]);
    request.environment.extend(["A", "B", "C"].map(|name| (name.into(), long.clone().into())));
    let spawned = bench.launcher.spawn(request).await.unwrap();
    assert_eq!(text(spawned.stdout).await.trim(), "300000");
}

#[tokio::test]
async fn many_programs_run_at_once() {
    let bench = Bench::new(IsolationPolicy::Strongest).await;
    let mut running = tokio::task::JoinSet::new();
    for number in 0..50 {
        let launcher = bench.launcher.clone();
        let mut request = bench.request(&["/bin/sh", "-c", &format!("exit {number}")]);
        request.attempt = bench.marker(&number.to_string());
        running.spawn(async move {
            let spawned = launcher.spawn(request).await.unwrap();
            (number, spawned.process.wait().await)
        });
    }
    while let Some(ended) = running.join_next().await {
        let (number, status) = ended.unwrap();
        assert_eq!(status, ExitStatus::Code(number));
    }
}
