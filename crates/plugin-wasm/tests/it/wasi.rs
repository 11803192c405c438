//! What a guest gets by WASI, and what not.

use std::fs;

use flexcore_plugin_protocol::CapabilityKind;
use serde_json::{Value, json};

use crate::bench::{Bench, Place, Wanted, extism, nothing};

/// Opens the path that lies at 0 below the first folder that it was given, or makes it, and answers
/// the error number of that.
fn opens(path: &str, flags: u32, rights: u64) -> String {
    let fields = format!(
        r#"(import "wasi_snapshot_preview1" "path_open"
             (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
           (data (i32.const 0) "{path}")"#
    );
    let execute = format!(
        "(i32.store8 (i32.const 500) (i32.add (i32.const 48) (i32.rem_u (local.tee $error
            (call $path_open (i32.const 3) (i32.const 1) (i32.const 0) (i32.const {}) (i32.const {flags})
              (i64.const {rights}) (i64.const 0) (i32.const 0) (i32.const 600))) (i32.const 10))))
         (i32.store8 (i32.const 499) (i32.add (i32.const 48) (i32.div_u (local.get $error) (i32.const 10))))
         (call $output_set (call $put (i32.const 498) (i32.const 4)) (i64.const 4)) (i32.const 0)",
        path.len()
    );
    let execute = format!(
        "(local $error i32) (i32.store8 (i32.const 498) (i32.const 34)) (i32.store8 (i32.const 501) (i32.const 34)) {execute}"
    );
    extism(&fields, &execute)
}

const READ: u64 = 1 << 1;
const WRITE: u64 = 1 << 6;
const CREATE: u32 = 1;

async fn error_number(place: Place, wanted: Wanted) -> u32 {
    let bench = Bench::new(place, wanted).await;
    let output = bench.call(nothing(), Value::Null).await.outcome.unwrap();
    output.result.unwrap().as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn without_a_grant_there_is_no_folder() {
    const BAD_DESCRIPTOR: u32 = 8;
    for place in Place::BOTH {
        for path in ["etc/passwd", "/etc/passwd", "../../etc/passwd"] {
            let found = error_number(place, Wanted::module(&opens(path, 0, READ))).await;
            assert_eq!(found, BAD_DESCRIPTOR, "{path}");
        }
    }
}

#[tokio::test]
async fn nothing_outside_of_a_granted_folder_is_reached() {
    let folder = tempfile::tempdir().unwrap();
    let (inside, outside) = (folder.path().join("in"), folder.path().join("secret"));
    fs::create_dir(&inside).unwrap();
    fs::write(&outside, "secret").unwrap();
    fs::write(inside.join("file"), "text").unwrap();
    std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
    std::os::unix::fs::symlink("..", inside.join("up")).unwrap();
    for place in Place::BOTH {
        let open = |path: &str, flags, rights| {
            let module = opens(path, flags, rights);
            error_number(
                place,
                Wanted::module(&module).may(CapabilityKind::FsRead, inside.to_str().unwrap()),
            )
        };
        assert_eq!(open("file", 0, READ).await, 0);
        for path in ["../secret", "link", "up/secret", "/etc/passwd", "up/../../etc/passwd"] {
            assert_ne!(open(path, 0, READ).await, 0, "{path}");
        }
        assert_ne!(open("new", CREATE, WRITE).await, 0, "it may only read");
        assert_ne!(open("file", 0, WRITE).await, 0, "it may only read");
    }
    assert_eq!(fs::read_dir(&inside).unwrap().count(), 3);
}

#[tokio::test]
async fn a_private_folder_is_there_during_a_call() {
    for place in Place::BOTH {
        let wanted =
            Wanted::module(&opens("new", CREATE, WRITE)).may(CapabilityKind::FsWrite, "scratch");
        let bench = Bench::new(place, wanted).await;
        for _ in 0..3 {
            let output = bench.call(nothing(), Value::Null).await.outcome.unwrap();
            assert_eq!(output.result, Some(json!("00")));
        }
        let folders = || fs::read_dir(bench.folder.path().join("state/wasm-run")).unwrap();
        let of_calls =
            folders().map(|folder| fs::read_dir(folder.unwrap().path()).unwrap().count());
        assert_eq!(of_calls.sum::<usize>(), 0, "nothing of a call is left");
    }
}

#[tokio::test]
async fn ending_itself_is_a_named_error() {
    let fields = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;
    for code in [0, 3] {
        let module = extism(fields, &format!("(call $exit (i32.const {code})) (i32.const 0)"));
        for place in Place::BOTH {
            let bench = Bench::new(place, Wanted::module(&module)).await;
            let error = bench.call(nothing(), Value::Null).await.outcome.unwrap_err();
            assert_eq!(error.code, "FC0653", "{error}");
            assert!(error.message.contains(&format!("exit code {code}")), "{error}");
            assert!(
                bench.call(nothing(), Value::Null).await.isolation.is_some(),
                "the host is well"
            );
        }
    }
}

#[tokio::test]
async fn what_it_prints_is_in_the_log() {
    let fields = r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (data (i32.const 0) "\10\00\00\00\0d\00\00\00hello\nto you")
        (data (i32.const 16) "hello\nto you\n")"#;
    let execute = "(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 600)))
        (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 600))) (i32.const 0)";
    let module = extism(fields, execute);
    for place in Place::BOTH {
        let bench = Bench::new(place, Wanted::module(&module)).await;
        bench.call(nothing(), Value::Null).await.outcome.unwrap();
        assert_eq!(bench.lines(), ["hello", "to you", "hello", "to you"]);
    }
}

#[tokio::test]
async fn the_time_of_day_is_a_right() {
    // Answers the seconds since 1970 divided by 10^8: today 17 or more.
    let fields = r#"(import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))"#;
    let execute = "(local $now i32)
        (drop (call $time (i32.const 0) (i64.const 0) (i32.const 600)))
        (local.set $now (i32.wrap_i64 (i64.div_u (i64.load (i32.const 600)) (i64.const 100000000000000000))))
        (i32.store8 (i32.const 500) (i32.add (i32.const 48) (i32.div_u (local.get $now) (i32.const 10))))
        (i32.store8 (i32.const 501) (i32.add (i32.const 48) (i32.rem_u (local.get $now) (i32.const 10))))
        (if (i32.eqz (local.get $now)) (then (i32.store8 (i32.const 500) (i32.const 32))))
        (call $output_set (call $put (i32.const 500) (i32.const 2)) (i64.const 2)) (i32.const 0)";
    let module = extism(fields, execute);
    for place in Place::BOTH {
        let bench = Bench::new(place, Wanted::module(&module)).await;
        let output = bench.call(nothing(), Value::Null).await.outcome.unwrap();
        assert_eq!(output.result, Some(json!(0)), "the beginning of 1970");
        let wanted = Wanted::module(&module).may(CapabilityKind::Clock, "");
        let bench = Bench::new(place, wanted).await;
        let output = bench.call(nothing(), Value::Null).await.outcome.unwrap();
        assert!(output.result.as_ref().and_then(Value::as_u64) >= Some(17), "{output:?}");
    }
}
