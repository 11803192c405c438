//! Config files: who can read them, and when they go.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, sync::Arc};

use flexcore_ports::attempt::{AttemptObserver, SyncRunner as _};
use flexcore_sync::{PumpSyncRunner, SyncOptions};

use crate::stage::{Stage, TARGET, jailer};

#[tokio::test(flavor = "multi_thread")]
async fn configs_are_private_in_memory_and_hold_the_settings() {
    let show = r#"stat -c '%a' "$2" >&2; stat -c '%a' "$(dirname "$2")" >&2; cat "$2" >&2; echo " $2" >&2"#;
    let stage = Stage::new(show, &format!("{show}; cat > /dev/null")).await;
    stage.completed().await;
    let log = stage.log.text();
    for (source, config) in [("tap", "tap-x"), ("target", "target-y")] {
        let expected = format!("{source}: 600\n");
        assert!(log.contains(&expected) && log.contains(&format!("{source}: 700\n")), "{log}");
        let memory = stage.memory_folder().display().to_string();
        assert!(
            log.contains(&format!("{source}: {{\"of\":\"{config}\"}} {memory}/flexcore-")),
            "{log}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_may_change_its_copy_and_the_log_says_that_it_is_lost() {
    let stage = Stage::new("echo '{\"token\":\"new\"}' > \"$2\"", TARGET).await;
    stage.completed().await;
    let log = stage.log.text();
    assert!(log.contains("tap `tap-x` changed its config file"), "{log}");
    let quiet = Stage::new("exit 0", TARGET).await;
    quiet.completed().await;
    assert_eq!(quiet.log.text(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_left_is_swept_by_the_next_runner() {
    let stage = Stage::new("exit 0", TARGET).await;
    stage.completed().await;
    let owner = fs::read_dir(stage.memory_folder()).unwrap().next().unwrap().unwrap().path();
    let left = owner.join("ex_1-load-1-4711");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("tap-config.json"), "secret").unwrap();
    let options = SyncOptions { runtime_folder: Some(stage.memory_folder()) };
    let _next = PumpSyncRunner::new(jailer(&stage.launcher), options);
    assert!(!left.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_attempt_leaves_no_files_and_no_processes() {
    let stage = Stage::new("echo running >&2; while :; do sleep 0.01; done", TARGET).await;
    let run = stage.runner.run(
        stage.context.clone(),
        stage.settings.clone(),
        Arc::clone(&stage.observer) as Arc<dyn AttemptObserver>,
        stage.cancel.clone(),
    );
    tokio::select! {
        outcome = run => panic!("{outcome:?}"),
        () = stage.log.heard("running") => {}
    }
    assert!(!stage.context.work_folder.exists());
    stage.launcher.shut_down().await;
    let marker = format!("{}/tap", stage.context.marker());
    assert_eq!(flexcore_sandbox::processes_of_attempt(&marker), Vec::<u32>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_runtime_folder_shared_memory_is_used() {
    let mut stage = Stage::new("echo \"config:$2\" >&2", TARGET).await;
    stage.runner = PumpSyncRunner::new(jailer(&stage.launcher), SyncOptions::default());
    stage.completed().await;
    let log = stage.log.text();
    let shared = Path::new("/dev/shm");
    let expected = if fs::metadata(shared).is_ok_and(|shared| shared.mode() & 0o1000 != 0) {
        "config:/dev/shm/flexcore-".to_owned()
    } else {
        format!("config:{}", stage.context.work_folder.display())
    };
    assert!(log.contains(&expected), "{log}");
}
