//! Attempts to use up the machine.

use std::path::PathBuf;

use flexcore_sandbox::{ControlName, ControlState, ExitStatus, JailerOptions};

use super::cage::{Cage, Stage, own_groups};
use crate::bench::PATIENCE;

#[tokio::test]
async fn memory_of_every_kind_ends_at_its_limit_where_groups_count_it() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        for kind in ["private", "shared", "memfd"] {
            let mut spec = cage.spec();
            spec.limits.memory_bytes = 32 << 20;
            let jailed = cage.spawn(&["/bin/true"], spec.clone()).await;
            let counts = jailed.report.enforces(ControlName::Memory);
            jailed.wait().await;
            let (printed, exit) = cage.escape(&["memory", "134217728", kind], spec).await;
            if counts {
                // Private memory may be refused before the group is full; everything else must be
                // killed for it.
                let refused = kind == "private" && printed.contains("memory ENOMEM");
                assert!(refused || exit.out_of_memory, "{stage:?}, {kind}: {printed} {exit:?}");
                assert!(refused || exit.status == ExitStatus::Signal(9), "{stage:?}, {kind}");
            } else if kind == "private" {
                assert!(printed.contains("memory ENOMEM"), "{stage:?}: {printed}");
            }
        }
        cage.assert_clean().await;
    }
}

/// No limit of a process counts shared memory; this is what is left without control groups.
#[tokio::test]
async fn without_groups_a_look_at_all_processes_ends_what_uses_too_much() {
    for stage in Stage::all() {
        let options = JailerOptions { control_groups: false, own_users: true };
        let cage = Cage::with_options(stage, options).await;
        let mut spec = cage.spec();
        spec.limits.memory_bytes = 32 << 20;
        let hog = ["memory", "67108864", "shared", "stay"];
        let (printed, exit) = cage.escape(&hog, spec).await;
        assert_eq!((printed.as_str(), exit.status), ("", ExitStatus::Signal(9)), "{stage:?}");
        assert!(exit.out_of_memory, "{stage:?}");
        cage.assert_clean().await;
    }
}

#[tokio::test]
async fn files_and_descriptors_end_at_their_limits() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let mut spec = cage.spec();
        spec.limits.file_bytes = 1 << 20;
        spec.limits.open_files = 100;
        let work = cage.seen("scratch");
        let fill = ["fill", work.to_str().unwrap(), "4000000", "1"];
        let (printed, _) = cage.escape(&fill, spec.clone()).await;
        assert!(printed.starts_with("bytes 1048576 EFBIG\n"), "{stage:?}: {printed}");
        let (printed, _) = cage.escape(&["open-files"], spec).await;
        assert_eq!(printed, "open 97 EMFILE\n", "{stage:?}");
        cage.assert_clean().await;
    }
}

/// Memory that the kernel holds for a program: files in memory, pipes, sockets.
#[tokio::test]
async fn memory_in_the_kernels_hands_is_bounded() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let mut spec = cage.spec();
        spec.limits.memory_bytes = 32 << 20;
        spec.limits.open_files = 512;
        (spec.tmp_bytes, spec.tmp_files) = (1 << 30, 10);
        let jailed = cage.spawn(&["/bin/true"], spec.clone()).await;
        let counts = jailed.report.enforces(ControlName::Memory);
        jailed.wait().await;
        if stage.has_namespaces() {
            let fill = ["fill", "/tmp", "268435456", "0"];
            let (printed, exit) = cage.escape(&fill, spec.clone()).await;
            // Where no group counts, the size of the folder is the limit.
            assert_eq!(exit.out_of_memory, counts, "{stage:?}: {printed}");
        }
        let (printed, exit) = cage.exhaust(&["pipes"], spec.clone()).await;
        let bytes = |printed: &str| printed.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok());
        // The kernel gives a user 64 MiB of large pipes; beyond that each has a page or two.
        let bounded = exit.out_of_memory || bytes(&printed).is_some_and(|bytes| bytes < 96 << 20);
        assert!(bounded && !printed.contains("ESCAPED"), "{stage:?}: {printed} {exit:?}");
        spec.limits.open_files = 64;
        let (printed, exit) = cage.exhaust(&["sockets"], spec).await;
        // Without a group, what is left is the largest buffer that the machine gives a socket.
        let largest = std::fs::read_to_string("/proc/sys/net/core/wmem_max").unwrap();
        let most = 64 * 2 * largest.trim().parse::<u64>().unwrap();
        let bounded = exit.out_of_memory || bytes(&printed).is_some_and(|bytes| bytes < most);
        assert!(bounded && !printed.contains("ESCAPED"), "{stage:?}: {printed} {exit:?}");
        cage.assert_clean().await;
    }
}

#[tokio::test]
async fn a_program_that_dies_leaves_no_core() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let (printed, exit) = cage.exhaust(&["core"], cage.spec()).await;
        assert_eq!(printed, "core EPERM\n", "{stage:?}");
        assert_eq!(exit.status, ExitStatus::Signal(6), "{stage:?}");
        let scratch = std::fs::read_dir(cage.folder.path().join("scratch")).unwrap();
        assert_eq!(scratch.count(), 0, "{stage:?}");
        cage.assert_clean().await;
    }
}

/// More threads than processors, none of which ever waits.
#[tokio::test]
async fn burning_is_throttled_where_a_group_can_and_ends_when_killed() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let mut spec = cage.spec();
        spec.limits.cpu_milli = Some(100);
        let (jailed, said, output) = cage.exhausting(&["burn"], spec).await;
        assert_eq!(said, "burning");
        if jailed.report.enforces(ControlName::Cpu) {
            let deadline = std::time::Instant::now() + PATIENCE;
            while throttled() == 0 {
                assert!(std::time::Instant::now() < deadline, "{stage:?}: it is never throttled");
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(jailed.kill().await.status, ExitStatus::Signal(9), "{stage:?}");
        drop(output);
        cage.assert_clean().await;
    }
}

/// How often the kernel has held back the groups of this process.
fn throttled() -> u64 {
    let stat = |group: PathBuf| std::fs::read_to_string(group.join("cpu.stat")).ok();
    let times = own_groups().into_iter().filter_map(stat).filter_map(|stat| {
        stat.lines().find_map(|line| line.strip_prefix("nr_throttled ")?.parse::<u64>().ok())
    });
    times.sum()
}

#[tokio::test]
async fn a_flood_of_writes_ends_when_killed() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let mut spec = cage.spec();
        spec.limits.io_write_bytes_per_second = Some(1 << 20);
        let work = cage.seen("scratch");
        let (jailed, said, output) =
            cage.exhausting(&["flood", work.to_str().unwrap()], spec).await;
        assert_eq!(said, "writing");
        let io = jailed.report.control(ControlName::Io).unwrap();
        assert!(io.state != ControlState::Enforced || io.limit == Some(1 << 20), "{stage:?}");
        assert_eq!(jailed.kill().await.status, ExitStatus::Signal(9), "{stage:?}");
        drop(output);
        cage.assert_clean().await;
    }
}

#[tokio::test]
async fn limits_of_processor_and_disk_are_reported_with_their_numbers() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let mut spec = cage.spec();
        spec.limits.cpu_milli = Some(500);
        spec.limits.io_write_bytes_per_second = Some(50 << 20);
        let jailed = cage.spawn(&["/bin/true"], spec).await;
        let cpu = jailed.report.control(ControlName::Cpu).unwrap().clone();
        let enforced = jailed.report.enforces(ControlName::Cpu);
        assert_eq!(cpu.limit, enforced.then_some(500), "{stage:?}");
        assert!(enforced || cpu.remedy().is_some(), "{stage:?}");
        assert!(jailed.report.control(ControlName::Io).is_some(), "{stage:?}");
        jailed.wait().await;
        cage.assert_clean().await;
    }
}
