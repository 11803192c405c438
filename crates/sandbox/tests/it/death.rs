//! What holds when the server, the launcher or an init is killed.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use flexcore_sandbox::{
    ExitStatus, IsolationPolicy, Launcher, LauncherError, LauncherLockError, processes_of_attempt,
    wait_for_launcher,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::bench::{Bench, PATIENCE, TIERS, lines, options, stat_field, text};

const TREE: &str = "
    trap '' TERM
    setsid -f sh -c '(echo daemon; exec sleep 1000) & exit 0'
    echo program
    sleep 1000
    :
";

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
}

fn children(parent: u32) -> Vec<u32> {
    let children = format!("/proc/{parent}/task/{parent}/children");
    let children = std::fs::read_to_string(children).unwrap();
    children.split_ascii_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_killed_servers_processes_are_dead_when_the_lock_is_free() {
    for tier in ["strongest", "user-namespace", "process-group"] {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("launcher.lock");
        let marker = folder.path().display().to_string();
        let mut server = Command::new(env!("CARGO_BIN_EXE_flexcore-sandbox-probe"))
            .args(["serve", tier])
            .arg(&lock)
            .args([&marker, TREE])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(server.stdout.take().unwrap());
        for _ in 0..2 {
            assert!(output.read_line(&mut String::new()).unwrap() > 0);
        }
        let held = wait_for_launcher(&lock, Duration::ZERO).await;
        assert!(matches!(held, Err(LauncherLockError::Held { .. })));
        assert!(processes_of_attempt(&marker).len() >= 2);

        server.kill().unwrap();
        server.wait().unwrap();
        wait_for_launcher(&lock, PATIENCE).await.unwrap();
        assert_eq!(processes_of_attempt(&marker), Vec::<u32>::new(), "{tier}");
    }
}

#[tokio::test]
async fn a_killed_launchers_processes_end_and_the_next_spawn_starts_another_launcher() {
    for tier in TIERS {
        let bench = Bench::new(tier).await;
        let spawned = bench.script(TREE).await;
        let (_, _output) = lines(spawned.stdout, 2).await;
        let launcher: u32 =
            std::fs::read_to_string(bench.lock_path()).unwrap().trim().parse().unwrap();
        kill(launcher);
        assert_eq!(spawned.process.wait().await, ExitStatus::Signal(9));
        assert_eq!(bench.alive(), Vec::<u32>::new(), "{tier:?}");

        let spawned = bench.script("echo again").await;
        assert_eq!(text(spawned.stdout).await, "again\n");
    }
}

#[tokio::test]
async fn a_killed_inits_program_counts_as_killed_and_leaves_nothing() {
    for tier in TIERS {
        let bench = Bench::new(tier).await;
        let spawned = bench.script(TREE).await;
        let (_, output) = lines(spawned.stdout, 2).await;
        kill(stat_field(spawned.process.pid(), 4));
        assert_eq!(spawned.process.wait().await, ExitStatus::Signal(9));
        text(output.into_inner()).await;
        let spawned = bench.script("echo again").await;
        assert_eq!(text(spawned.stdout).await, "again\n");
    }
}

#[tokio::test]
async fn a_killed_spare_init_costs_no_order_and_no_isolation() {
    for tier in TIERS {
        let bench = Bench::new(tier).await;
        let spawned = bench.script("exec sleep 1000").await;
        let isolation = spawned.process.isolation();
        let init = stat_field(spawned.process.pid(), 4);
        let launcher = stat_field(init, 4);
        // Made as soon as the order was handed on.
        let spare = loop {
            let spare = children(launcher).into_iter().find(|&child| child != init);
            if let Some(spare) = spare {
                break spare;
            }
            tokio::task::yield_now().await;
        };
        kill(spare);
        let spawned = bench.script("echo after").await;
        assert_eq!(spawned.process.isolation(), isolation);
        assert_eq!(text(spawned.stdout).await, "after\n");
    }
}

#[tokio::test]
async fn a_second_launcher_is_refused_while_the_first_lives_and_starts_right_after_it() {
    let bench = Bench::new(IsolationPolicy::Strongest).await;
    let spawned = bench.script("echo up; exec sleep 1000").await;
    let (_, _output) = lines(spawned.stdout, 1).await;
    let mut second = options(&bench.folder, IsolationPolicy::Strongest);
    second.lock_patience = Duration::ZERO;
    let error = Launcher::start(second.clone()).await.unwrap_err();
    assert!(matches!(error, LauncherError::Lock(LauncherLockError::Held { .. })), "{error:?}");

    bench.launcher.shut_down().await;
    assert_eq!(bench.alive(), Vec::<u32>::new());
    let second = Launcher::start(second).await.unwrap();
    assert!(bench.launcher.spawn(bench.request(&["/bin/true"])).await.is_err(), "it was shut down");
    let spawned = second.spawn(bench.request(&["/bin/true"])).await.unwrap();
    assert!(spawned.process.wait().await.is_success());
}

/// A server that is stopped can end nothing and notices nothing; the launcher does it for it.
#[tokio::test]
async fn a_stopped_servers_processes_are_dead_after_its_deadline() {
    for tier in ["strongest", "user-namespace", "process-group"] {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("launcher.lock");
        let marker = folder.path().display().to_string();
        let mut server = Command::new(env!("CARGO_BIN_EXE_flexcore-sandbox-probe"))
            .args(["serve", tier])
            .arg(&lock)
            .args([&marker, TREE, "1000"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(server.stdout.take().unwrap());
        for _ in 0..2 {
            assert!(output.read_line(&mut String::new()).unwrap() > 0);
        }
        kill_process(Pid::from_child(&server), Signal::STOP).unwrap();
        wait_for_launcher(&lock, PATIENCE).await.unwrap();
        assert_eq!(processes_of_attempt(&marker), Vec::<u32>::new(), "{tier}");
        server.kill().unwrap();
        server.wait().unwrap();
    }
}

#[tokio::test]
async fn a_deadline_that_is_set_anew_or_taken_back_ends_nothing() {
    let bench = Bench::new(IsolationPolicy::Strongest).await;
    bench.launcher.end_all_at(Some(Instant::now() + PATIENCE)).await;
    let spawned = bench.script("echo up; exec sleep 1000").await;
    let (_, _output) = lines(spawned.stdout, 1).await;
    bench.launcher.end_all_at(None).await;
    // Orders are carried out in turn: this one comes after both deadlines.
    let second = bench.script("echo again").await;
    assert_eq!(text(second.stdout).await, "again\n");
    assert!(!bench.alive().is_empty());
    bench.launcher.end_all_at(Some(Instant::now())).await;
    assert_eq!(spawned.process.wait().await, ExitStatus::Signal(9));
    assert_eq!(bench.alive(), Vec::<u32>::new());
}

#[tokio::test]
async fn after_its_deadline_a_launcher_starts_nothing_until_another_is_set() {
    let bench = Bench::new(IsolationPolicy::Strongest).await;
    bench.launcher.end_all_at(Some(Instant::now())).await;
    let refused = bench.launcher.spawn(bench.request(&["/bin/true"])).await;
    assert!(refused.is_err(), "{refused:?}");
    bench.launcher.end_all_at(None).await;
    let spawned = bench.script("echo again").await;
    assert_eq!(text(spawned.stdout).await, "again\n");
}

#[test]
fn a_launcher_that_is_started_by_hand_says_that_it_is_none_of_your_business() {
    let output = Command::new(env!("CARGO_BIN_EXE_flexcore-sandbox-probe"))
        .args(["__launcher", "strongest"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot be started by hand"));
}
