//! Attempts on processes and on the kernel.

use flexcore_sandbox::{ControlName, ExitStatus, JailSpec};
use rustix::process::{Pid, Signal, kill_process};

use super::cage::{Cage, Stage, assert_held};
use crate::bench::{PATIENCE, lines, stat_field, text};

#[tokio::test]
async fn no_call_that_reaches_past_the_jail_is_carried_out() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let host = std::process::id().to_string();
        let (printed, exit) = cage.escape(&["calls", &host], cage.spec()).await;
        assert_held(stage, &printed);
        assert!(exit.status.is_success(), "{stage:?}: {printed}");
        for expected in ["ptrace EPERM", "unshare_user EPERM", "clone3 ENOSYS", "io_uring ENOSYS"] {
            assert!(printed.contains(expected), "{stage:?}: {printed}");
        }
        for expected in ["personality EPERM", "remount_writable EPERM", "pidfd_getfd_host EPERM"] {
            assert!(printed.contains(expected), "{stage:?}: {printed}");
        }
        if cfg!(target_arch = "x86_64") {
            // Some kernels are built without the 32-bit table, which ends the process as well.
            assert!(printed.contains("x32 SIGSYS"), "{stage:?}: {printed}");
            assert!(printed.contains("int80 SIG"), "{stage:?}: {printed}");
        }
        cage.assert_clean().await;
    }
}

#[tokio::test]
async fn killing_everything_kills_nothing_outside() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let (printed, exit) = cage.escape(&["kill-all"], cage.spec()).await;
        assert_eq!(printed, "still here\n", "{stage:?}");
        assert!(exit.status.is_success(), "{stage:?}");
        let (printed, _) = cage.run(&["/bin/echo", "alive"], cage.spec(), &[]).await;
        assert_eq!(printed, "alive\n", "{stage:?}: the launcher lives");
        cage.assert_clean().await;
    }
}

#[tokio::test]
async fn a_fork_bomb_stops_at_its_limit() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let mut spec = cage.spec();
        spec.limits.pids = 20;
        let most = most_processes(&cage, &spec).await;
        let (printed, _) = cage.escape(&["fork-bomb"], spec).await;
        assert!(printed.ends_with(" EAGAIN\n"), "{stage:?}: {printed}");
        let forks: u32 = printed.split(' ').nth(1).unwrap().parse().unwrap();
        assert!(forks < most, "{stage:?}: {printed}");
        cage.assert_clean().await;
    }
}

/// How many processes a jail with the limit of 20 can have. Where the kernel counts those of the user
/// elsewhere as well, some of them may end meanwhile.
async fn most_processes(cage: &Cage, spec: &JailSpec) -> u32 {
    let jailed = cage.spawn(&["/bin/true"], spec.clone()).await;
    let enforced = jailed.report.enforces(ControlName::Pids);
    jailed.wait().await;
    if enforced { 20 } else { 1_000 }
}

#[tokio::test]
async fn threads_and_vforks_stop_at_the_limit_too() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        for kind in ["threads", "vforks"] {
            let mut spec = cage.spec();
            spec.limits.pids = 20;
            let most = most_processes(&cage, &spec).await;
            let (printed, exit) = cage.exhaust(&[kind], spec).await;
            assert!(printed.ends_with(" EAGAIN\n"), "{stage:?}: {printed}");
            let count: u32 = printed.split(' ').nth(1).unwrap().parse().unwrap();
            assert!(count < most, "{stage:?}: {printed}");
            assert!(exit.status.is_success(), "{stage:?}");
        }
        cage.assert_clean().await;
    }
}

#[tokio::test]
async fn orphans_are_reaped_however_many_there_are() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let mut spec = cage.spec();
        spec.limits.pids = 20;
        let (printed, exit) = cage.exhaust(&["orphans", "1000"], spec).await;
        assert_eq!(printed, "orphans 1000 reaped\n", "{stage:?}");
        assert!(exit.status.is_success(), "{stage:?}");
        cage.assert_clean().await;
    }
}

/// Whether it never begins, never stops or never finishes to clean up: killed, it is gone.
#[tokio::test]
async fn what_hangs_at_its_start_or_at_its_end_is_gone_when_killed() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let hang = cage.seen("plugin/exhaust");
        let jailed = cage.spawn(&[hang.to_str().unwrap(), "hang"], cage.spec()).await;
        assert_eq!(jailed.kill().await.status, ExitStatus::Signal(9), "{stage:?}");
        let (jailed, said, mut output) = cage.exhausting(&["clean-up"], cage.spec()).await;
        assert_eq!(said, "ready");
        jailed.process.terminate();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        assert_eq!(line, "cleaning\n", "{stage:?}");
        assert_eq!(jailed.kill().await.status, ExitStatus::Signal(9), "{stage:?}");
        drop(output);
        cage.assert_clean().await;
    }
}

#[tokio::test]
async fn daemons_that_are_deaf_or_stopped_end_with_the_jail() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let escape = cage.seen("plugin/escape");
        let mut jailed = cage.spawn(&[escape.to_str().unwrap(), "linger"], cage.spec()).await;
        let (said, output) = lines(jailed.stdout.take().unwrap(), 1).await;
        assert_eq!(said, ["lingering"]);
        jailed.process.terminate();
        let exit = jailed.kill().await;
        assert_eq!(exit.status, ExitStatus::Signal(9), "{stage:?}");
        drop(output);
        cage.assert_clean().await;
    }
}

#[tokio::test]
async fn a_jail_that_is_dropped_ends() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let escape = cage.seen("plugin/escape");
        let mut jailed = cage.spawn(&[escape.to_str().unwrap(), "linger"], cage.spec()).await;
        let (_, output) = lines(jailed.stdout.take().unwrap(), 1).await;
        drop(jailed);
        // The output ends when the last process does.
        text(output.into_inner()).await;
        // What the dropped one could not remove, the next one does.
        let (printed, _) = cage.run(&["/bin/echo", "next"], cage.spec(), &[]).await;
        assert_eq!(printed, "next\n");
        assert_eq!(cage.alive(), Vec::<u32>::new(), "{stage:?}");
    }
}

/// Whoever is killed from outside, the jail ends: the launcher, or the jail's own init.
#[tokio::test]
async fn a_jail_ends_with_its_launcher_and_with_its_init() {
    for stage in Stage::all() {
        for of_launcher in [true, false] {
            let cage = Cage::new(stage).await;
            let escape = cage.seen("plugin/escape");
            let mut jailed = cage.spawn(&[escape.to_str().unwrap(), "linger"], cage.spec()).await;
            let (_, output) = lines(jailed.stdout.take().unwrap(), 1).await;
            let init = stat_field(jailed.process.pid(), 4);
            let victim = if of_launcher { stat_field(init, 4) } else { init };
            let victim = Pid::from_raw(victim.cast_signed()).unwrap();
            kill_process(victim, Signal::KILL).unwrap();
            // The output ends when the last process does.
            text(output.into_inner()).await;
            assert_eq!(jailed.wait().await.status, ExitStatus::Signal(9), "{stage:?}");
            let (printed, _) = cage.run(&["/bin/echo", "next"], cage.spec(), &[]).await;
            assert_eq!(printed, "next\n", "{stage:?}");
            assert_eq!(cage.alive(), Vec::<u32>::new(), "{stage:?}");
        }
    }
}

#[tokio::test]
async fn common_programs_run_in_the_jail() {
    let script = "
import asyncio, multiprocessing, os, subprocess, tempfile, threading
threading.Thread(target=lambda: None).start()
assert subprocess.run(['/bin/echo', 'x'], capture_output=True).stdout == b'x\\n'
with tempfile.TemporaryFile(dir='/tmp') as file:
    file.write(b'x')
async def main():
    process = await asyncio.create_subprocess_exec('/bin/true')
    return await process.wait()
assert asyncio.run(main()) == 0
with multiprocessing.Pool(2) as pool:
    assert pool.map(abs, [-1, -2]) == [1, 2]
import pwd
print('ran', pwd.getpwuid(os.getuid()).pw_name)
";
    for stage in Stage::with_namespaces() {
        let cage = Cage::new(stage).await;
        let (printed, exit) = cage.run(&["/usr/bin/python3", "-c", script], cage.spec(), &[]).await;
        assert_eq!(printed, "ran plugin\n", "{stage:?}");
        assert!(exit.status.is_success(), "{stage:?}");
        cage.assert_clean().await;
    }
}

/// Beside what the kernel keeps from it, the init keeps itself from all calls but a few.
#[tokio::test]
async fn the_init_of_a_jail_is_held_as_well() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let (jailed, said, output) = cage.exhausting(&["clean-up"], cage.spec()).await;
        assert_eq!(said, "ready");
        let init = stat_field(jailed.process.pid(), 4);
        let deadline = std::time::Instant::now() + PATIENCE;
        // It holds itself a moment after its program began.
        loop {
            let status = std::fs::read_to_string(format!("/proc/{init}/status")).unwrap();
            let has = |line: &str| status.lines().any(|own| own == line);
            if has("Seccomp:\t2") && has("NoNewPrivs:\t1") && has("CapEff:\t0000000000000000") {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "{stage:?}: {status}");
            tokio::task::yield_now().await;
        }
        assert_eq!(jailed.kill().await.status, ExitStatus::Signal(9), "{stage:?}");
        drop(output);
        cage.assert_clean().await;
    }
}
