//! How attempts end: by themselves, on request, and by force.

use flexcore_sandbox::{ExitStatus, processes_of_attempt};

use crate::bench::{Bench, TIERS, lines, text};

/// Starts processes that a kill of a process group misses, one line per process: in the background,
/// deaf to SIGTERM, in a session of their own, twice forked.
const HARD_TO_KILL: &str = "
    trap '' TERM
    (echo background; exec sleep 1000) &
    setsid sh -c 'echo session; sleep 1000; :' &
    setsid -f sh -c '(echo daemon; exec sleep 1000) & exit 0'
    echo program
    sleep 1000
    :
";

#[tokio::test]
async fn kill_returns_when_no_process_is_left_not_even_a_daemon() {
    for tier in TIERS {
        let bench = Bench::new(tier).await;
        let spawned = bench.script(HARD_TO_KILL).await;
        let (mut started, _output) = lines(spawned.stdout, 4).await;
        started.sort_unstable();
        assert_eq!(started, ["background", "daemon", "program", "session"]);
        assert!(bench.alive().len() >= 4);
        assert_eq!(spawned.process.kill().await, ExitStatus::Signal(9));
        assert_eq!(bench.alive(), Vec::<u32>::new(), "{tier:?}");
    }
}

#[tokio::test]
async fn kill_ends_a_bush_of_processes() {
    let bush = "
        grow() { if [ $1 -gt 0 ]; then grow $(($1 - 1)) & grow $(($1 - 1)) & fi; echo up; sleep 1000; }
        grow 6
    ";
    for tier in TIERS {
        let bench = Bench::new(tier).await;
        let spawned = bench.script(bush).await;
        let (_, _output) = lines(spawned.stdout, 127).await;
        spawned.process.kill().await;
        assert_eq!(bench.alive(), Vec::<u32>::new(), "{tier:?}");
    }
}

#[tokio::test]
async fn what_a_program_leaves_behind_is_gone_when_wait_returns() {
    for tier in TIERS {
        let bench = Bench::new(tier).await;
        let script = "setsid -f sh -c 'echo daemon; exec sleep 1000'; read line; exit 5";
        let mut request = bench.request(&["/bin/sh", "-c", script]);
        request.stdin = flexcore_sandbox::Stdin::Pipe;
        let spawned = bench.launcher.spawn(request).await.unwrap();
        let (_, _output) = lines(spawned.stdout, 1).await;
        drop(spawned.stdin);
        assert_eq!(spawned.process.wait().await, ExitStatus::Code(5));
        assert_eq!(bench.alive(), Vec::<u32>::new(), "{tier:?}");
    }
}

#[tokio::test]
async fn terminate_reaches_the_whole_group_and_lets_it_answer() {
    for tier in TIERS {
        let bench = Bench::new(tier).await;
        let script = "
            sh -c 'trap \"echo child; exit\" TERM; echo ready; sleep 1000 & wait' &
            trap 'wait; exit 3' TERM
            echo ready
            wait
        ";
        let spawned = bench.script(script).await;
        let (_, output) = lines(spawned.stdout, 2).await;
        spawned.process.terminate();
        assert_eq!(text(output.into_inner()).await, "child\n");
        assert_eq!(spawned.process.wait().await, ExitStatus::Code(3));

        let spawned = bench.script("echo ready; exec sleep 1000").await;
        let (_, _output) = lines(spawned.stdout, 1).await;
        spawned.process.terminate();
        assert_eq!(spawned.process.wait().await, ExitStatus::Signal(15));
        spawned.process.terminate();
        assert_eq!(spawned.process.kill().await, ExitStatus::Signal(15), "ended before the kill");
    }
}

#[tokio::test]
async fn stop_gives_a_program_its_grace_and_kills_it_after() {
    for tier in TIERS {
        let bench = Bench::new(tier).await;
        let polite = "trap 'exit 4' TERM; echo ready; sleep 1000 & wait";
        let spawned = bench.script(polite).await;
        let (_, _output) = lines(spawned.stdout, 1).await;
        assert_eq!(spawned.process.stop(crate::bench::PATIENCE).await, ExitStatus::Code(4));

        let spawned = bench.script(HARD_TO_KILL).await;
        let (_, _output) = lines(spawned.stdout, 4).await;
        let grace = std::time::Duration::from_millis(50);
        assert_eq!(spawned.process.stop(grace).await, ExitStatus::Signal(9));
        assert_eq!(bench.alive(), Vec::<u32>::new(), "{tier:?}");
    }
}

#[tokio::test]
async fn dropping_a_process_ends_its_tree() {
    for tier in TIERS {
        let bench = Bench::new(tier).await;
        let spawned = bench.script(HARD_TO_KILL).await;
        let (_, output) = lines(spawned.stdout, 4).await;
        drop(spawned.process);
        // The end of the output comes with the last process that holds it.
        text(output.into_inner()).await;
        bench.launcher.shut_down().await;
        assert_eq!(bench.alive(), Vec::<u32>::new(), "{tier:?}");
    }
}

#[tokio::test]
async fn the_end_of_one_attempt_leaves_the_others_alone() {
    for tier in TIERS {
        let bench = Bench::new(tier).await;
        let mut other = bench.request(&["/bin/sh", "-c", "setsid -f sleep 1000; sleep 1000; :"]);
        other.attempt = bench.marker("other");
        let other = bench.launcher.spawn(other).await.unwrap();
        let spawned = bench.script("exec sleep 1000").await;
        spawned.process.kill().await;
        assert!(processes_of_attempt(&bench.marker("other")).contains(&other.process.pid()));
        other.process.kill().await;
        assert!(processes_of_attempt(&bench.marker("other")).is_empty());
    }
}

#[tokio::test]
async fn a_marker_finds_its_parts_and_nothing_that_only_begins_alike() {
    let bench = Bench::new(flexcore_sandbox::IsolationPolicy::ProcessGroup).await;
    let mut running = Vec::new();
    for name in ["step/1", "step/1/tap", "step/12"] {
        let mut request = bench.request(&["/bin/sleep", "1000"]);
        request.attempt = bench.marker(name);
        running.push(bench.launcher.spawn(request).await.unwrap().process);
    }
    let mut expected = vec![running[0].pid(), running[1].pid()];
    expected.sort_unstable();
    let mut found = processes_of_attempt(&bench.marker("step/1"));
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_sweep_ends_what_an_attempt_left_behind() {
    let bench = Bench::new(flexcore_sandbox::IsolationPolicy::ProcessGroup).await;
    let spawned = bench.script(HARD_TO_KILL).await;
    let (_, _output) = lines(spawned.stdout, 4).await;
    let marker = bench.marker("attempt");
    let swept = tokio::task::spawn_blocking(move || {
        flexcore_sandbox::end_processes_of_attempt(&marker, crate::bench::PATIENCE)
    });
    assert!(swept.await.unwrap().unwrap() >= 4);
    assert_eq!(bench.alive(), Vec::<u32>::new());
    assert_eq!(spawned.process.wait().await, ExitStatus::Signal(9));
}
