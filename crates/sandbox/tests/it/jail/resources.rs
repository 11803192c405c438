//! Attempts to use up the machine.

use flexcore_sandbox::{ControlName, ExitStatus, JailerOptions};

use super::cage::{Cage, Stage};

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
