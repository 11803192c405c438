//! Full disks and read-only folders, on real file systems of their own. These tests need root.

use std::{fs, path::PathBuf, process::Command};

use crate::process::{Call, Folder};

const SCHEMA: &str = r#"{"type":"SCHEMA","stream":"s","schema":{"type":"object","properties":{"id":{"type":"integer"},"x":{"type":"string"}}},"key_properties":["id"]}"#;

/// A small file system in memory, mounted in the test's folder.
struct Mount(PathBuf);

impl Mount {
    fn new(folder: &Folder, options: &str) -> Self {
        let path = folder.path().join("small");
        fs::create_dir_all(&path).unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&path)
            .status()
            .unwrap();
        assert!(status.success(), "mounting a tmpfs needs root");
        Self(path)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn record(id: u32, length: usize) -> String {
    let text = "x".repeat(length);
    format!(
        "{{\"type\":\"RECORD\",\"stream\":\"s\",\"record\":{{\"id\":{id},\"x\":\"{text}\"}}}}\n"
    )
}

#[test]
fn a_full_disk_is_said_and_keeps_what_was_confirmed() {
    for (name, config) in [
        ("target-jsonl", r#"{"path":"small/out"}"#),
        ("target-csv", r#"{"path":"small/out"}"#),
        ("target-sqlite", r#"{"path":"small/w.db"}"#),
    ] {
        let folder = Folder::new();
        let _mount = Mount::new(&folder, "size=1m");
        let mut running = Call::new(&folder, name, config).execution("ex_1", None).spawn();
        running.send(&format!("{SCHEMA}\n{}", record(1, 100)));
        running.send("{\"type\":\"STATE\",\"value\":{\"at\":1}}\n");
        assert_eq!(running.line(), "{\"at\":1}", "{name}");
        let rest: String = (2..40).map(|id| record(id, 50_000)).collect();
        let rest = format!("{rest}{{\"type\":\"STATE\",\"value\":{{\"at\":2}}}}\n");
        let outcome = running.end_with(&rest);
        assert_eq!(outcome.stdout, "", "{name} confirms nothing that is not durable");
        let message = outcome.failure();
        assert!(message.contains("disk is full") || message.contains("is full"), "{message}");
        let kept = match name {
            "target-sqlite" => {
                let database =
                    rusqlite::Connection::open(folder.path().join("small/w.db")).unwrap();
                let rows: i64 =
                    database.query_row("SELECT count(*) FROM s", [], |row| row.get(0)).unwrap();
                usize::try_from(rows).unwrap()
            }
            "target-csv" => folder.read("small/out/s.csv").lines().count() - 1,
            _ => folder.read("small/out/s.jsonl").lines().count(),
        };
        assert_eq!(kept, 1, "{name}");
    }
}

#[test]
fn a_read_only_folder_is_said() {
    for (name, config) in [
        ("target-jsonl", r#"{"path":"small/out"}"#),
        ("target-csv", r#"{"path":"small"}"#),
        ("target-sqlite", r#"{"path":"small/w.db"}"#),
    ] {
        let folder = Folder::new();
        let _mount = Mount::new(&folder, "size=1m,ro");
        let outcome = Call::new(&folder, name, config).run(format!("{SCHEMA}\n{}", record(1, 1)));
        assert_eq!(outcome.stdout, "");
        let message = outcome.failure();
        assert!(message.contains("small"), "{message}");
        assert!(
            message.contains("read-only") || message.contains("unable to open"),
            "{name}: {message}"
        );
    }
}
