//! Guests that want out, or want everything. After each, the host is well and another guest runs.

use std::time::Duration;

use flexcore_plugin_protocol::LimitName;
use flexcore_plugin_wasm::WasmOptions;
use flexcore_ports::{PluginError, PluginHost as _};
use serde_json::{Value, json};

use crate::bench::{Bench, ECHO, Place, Wanted, component, extism, nothing};

/// What one call of a bad guest ends with, wherever it runs. The host can call it again, which it
/// could not if an instance, a permit or the worker itself had been lost.
async fn both(wanted: Wanted, check: impl Fn(&PluginError)) {
    for place in Place::BOTH {
        let bench = Bench::new(place, wanted.clone()).await;
        // More often than there is room for at one time.
        for _ in 0..20 {
            let end = bench.call(nothing(), json!({"a": 1})).await;
            check(&end.outcome.unwrap_err());
        }
        assert!(bench.host.health(&bench.plugin).await.is_ok(), "{place:?}");
    }
}

fn code(expected: &'static str, word: &'static str) -> impl Fn(&PluginError) {
    move |error| {
        assert_eq!(error.code, expected, "{error}");
        assert!(error.message.contains(word), "{error}");
    }
}

#[tokio::test]
async fn an_endless_loop_ends_with_its_time_and_others_run_meanwhile() {
    let spin = "(loop $on (br $on)) (i32.const 0)";
    let wasm = component("", spin);
    for place in Place::BOTH {
        let wanted = Wanted::component(wasm.clone()).limit(LimitName::Execute, 300);
        let bench = std::sync::Arc::new(Bench::new(place, wanted).await);
        // As many as run at one time, on every thread of the runtime.
        let spinning: Vec<_> = (0..8)
            .map(|_| {
                let bench = std::sync::Arc::clone(&bench);
                tokio::spawn(async move { bench.call(nothing(), Value::Null).await })
            })
            .collect();
        for call in spinning {
            let error = call.await.unwrap().outcome.unwrap_err();
            code("FC0654", "300ms")(&error);
            assert_eq!(error.class, flexcore_domain::ErrorClass::Timeout);
        }
        bench.host.health(&bench.plugin).await.unwrap();
    }
}

#[tokio::test]
async fn all_the_memory_there_is_is_not_to_be_had() {
    // Asks for 1 MiB at a time until it gets none, then says so by a trap.
    let hog = "(block $full (loop $more
        (br_if $full (i32.lt_s (memory.grow (i32.const 16)) (i32.const 0)))
        (memory.fill (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 1048576)) (i32.const 1) (i32.const 1048576))
        (br $more))) unreachable";
    let wanted = Wanted::component(component("", hog)).limit(LimitName::Memory, 16 << 20);
    both(wanted, code("FC0654", "16MiB")).await;
}

#[tokio::test]
async fn a_table_does_not_grow_for_ever() {
    let fields = "(table $bomb 1 funcref)";
    let grow = "(block $full (loop $more
        (br_if $full (i32.lt_s (table.grow $bomb (ref.null func) (i32.const 1000)) (i32.const 0)))
        (br $more))) unreachable";
    both(Wanted::component(component(fields, grow)), code("FC0653", "unreachable")).await;
}

#[tokio::test]
async fn recursion_ends_with_the_stack() {
    let fields =
        "(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1)))";
    let wasm = component(fields, "(call $deep (i32.const 1))");
    both(Wanted::component(wasm), code("FC0653", "stack")).await;
}

#[tokio::test]
async fn a_storm_of_traps_is_weathered() {
    let wasm = component("", "unreachable");
    for place in Place::BOTH {
        let bench = Bench::new(place, Wanted::component(wasm.clone())).await;
        for _ in 0..500 {
            let end = bench.call(nothing(), Value::Null).await;
            code("FC0653", "unreachable")(&end.outcome.unwrap_err());
        }
    }
}

#[tokio::test]
async fn addresses_outside_of_its_memory_are_refused() {
    // A list that lies outside, one that wraps around, texts that are none.
    for answer in [
        (1, "0x7fffff00", "16"),
        (1, "0xfffffff0", "0x7fffffff"),
        (2, "0x7fffff00", "1"),
        (7, "0", "0"),
    ] {
        let execute = format!(
            "(i32.store8 (i32.const 16) (i32.const 0)) (i32.store8 (i32.const 20) (i32.const {}))
             (call $pair (i32.const 24) (i32.const {}) (i32.const {})) (i32.const 16)",
            if answer.0 == 1 { 1 } else { answer.0 },
            answer.1,
            answer.2
        );
        let wasm = component("", &execute);
        for place in Place::BOTH {
            let bench = Bench::new(place, Wanted::component(wasm.clone())).await;
            let error = bench.call(nothing(), Value::Null).await.outcome.unwrap_err();
            assert!(["FC0653", "FC0655"].contains(&error.code), "{answer:?}: {error}");
        }
    }
}

#[tokio::test]
async fn bad_pointers_to_functions_of_the_host_are_refused() {
    let fields =
        r#"(import "flexcore:plugin/log@0.1.0" "write" (func $write (param i32 i32 i32)))"#;
    for (at, length) in [("0x7fffff00", "100"), ("0xffffffff", "0xffffffff"), ("0", "0x7fffffff")] {
        let execute = format!(
            "(call $write (i32.const 1) (i32.const {at}) (i32.const {length})) (i32.const 0)"
        );
        let wasm = component(fields, &execute);
        for place in Place::BOTH {
            let bench = Bench::new(place, Wanted::component(wasm.clone())).await;
            let error = bench.call(nothing(), Value::Null).await.outcome.unwrap_err();
            assert!(["FC0653", "FC0655"].contains(&error.code), "{error}");
            assert_eq!(bench.lines(), Vec::<String>::new());
        }
    }
}

#[tokio::test]
async fn bad_addresses_in_the_extism_abi_are_refused() {
    for execute in [
        "(drop (call $load_u8 (i64.const 0))) (i32.const 0)",
        "(drop (call $load_u8 (i64.const -1))) (i32.const 0)",
        "(call $store_u8 (i64.const 0x7fffffffffff) (i32.const 1)) (i32.const 0)",
        "(call $output_set (i64.const 8) (i64.const -1)) (i32.const 0)",
        "(call $output_set (i64.const -8) (i64.const 16)) (i32.const 0)",
        "(call $error_set (i64.const 12345)) (i32.const 0)",
    ] {
        let bench = Bench::new(Place::Worker, Wanted::module(&extism("", execute))).await;
        let error = bench.call(nothing(), Value::Null).await.outcome.unwrap_err();
        code("FC0655", "has no memory")(&error);
    }
    for execute in [
        "(drop (call $alloc (i64.const -1))) (i32.const 0)",
        "(loop $on (drop (call $alloc (i64.const 1048576))) (br $on)) (i32.const 0)",
    ] {
        let wanted = Wanted::module(&extism("", execute)).limit(LimitName::Memory, 16 << 20);
        both(wanted, code("FC0654", "16MiB")).await;
    }
}

#[tokio::test]
async fn a_hundred_megabytes_of_output_are_refused() {
    let execute = "(drop (memory.grow (i32.const 1600)))
        (i32.store8 (i32.const 16) (i32.const 0)) (i32.store8 (i32.const 20) (i32.const 2))
        (call $pair (i32.const 24) (i32.const 0) (i32.const 100000000)) (i32.const 16)";
    both(Wanted::component(component("", execute)), code("FC0655", "64MiB")).await;
}

#[tokio::test]
async fn a_list_that_names_one_text_a_million_times_is_refused() {
    // 16 bytes for each record, a megabyte in each record.
    let execute = "(local.set $at (call $alloc (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 4000000)))
        ;; A megabyte of zeroes.
        (local.set $id (i32.shl (memory.grow (i32.const 16)) (i32.const 16)))
        (local.set $length (i32.const 0))
        (loop $next
          (call $pair (i32.add (local.get $at) (i32.mul (local.get $length) (i32.const 16))) (i32.const 64) (i32.const 5))
          (call $pair (i32.add (i32.const 8) (i32.add (local.get $at) (i32.mul (local.get $length) (i32.const 16)))) (local.get $id) (i32.const 1000000))
          (local.set $length (i32.add (local.get $length) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $length) (i32.const 250000))))
        (i32.store8 (i32.const 16) (i32.const 0)) (i32.store8 (i32.const 20) (i32.const 1))
        (call $pair (i32.const 24) (local.get $at) (local.get $length)) (i32.const 16)";
    both(Wanted::component(component("", execute)), code("FC0655", "64MiB")).await;
}

#[tokio::test]
async fn a_flood_of_lines_is_cut() {
    let fields =
        r#"(import "flexcore:plugin/log@0.1.0" "write" (func $write (param i32 i32 i32)))"#;
    let execute = format!(
        "(loop $next (call $write (i32.const 1) (i32.const 64) (i32.const 5))
          (local.set $id (i32.add (local.get $id) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $id) (i32.const 1000000)))) {ECHO}"
    );
    let wasm = component(fields, &execute);
    for place in Place::BOTH {
        let bench = Bench::new(place, Wanted::component(wasm.clone())).await;
        bench.call(nothing(), Value::Null).await.outcome.unwrap();
        let lines = bench.lines();
        assert!((1_000..=5_001).contains(&lines.len()), "{}", lines.len());
        assert_eq!(lines[0], "guest");
    }
}

#[tokio::test]
async fn what_nobody_offers_cannot_be_imported() {
    let module = r#"(module (import "env" "system" (func (param i32))) (func (export "execute")))"#;
    let wasi =
        r#"(component (import "wasi:http/outgoing-handler@0.2.0" (instance (export "x" (func)))))"#;
    let component = wat::parse_str(wasi).unwrap();
    for wanted in [Wanted::module(module), Wanted::component(component)] {
        for place in Place::BOTH {
            let bench = Bench::new(place, wanted.clone()).await;
            let error = bench.host.initialize(&bench.plugin).await.unwrap_err();
            code("FC0652", "no plugin is offered")(&error);
        }
    }
}

#[tokio::test]
async fn a_component_of_another_world_is_refused() {
    let wasm = wat::parse_str("(component)").unwrap();
    let bench = Bench::new(Place::Worker, Wanted::component(wasm)).await;
    let error = bench.host.initialize(&bench.plugin).await.unwrap_err();
    code("FC0658", "flexcore:plugin/plugin@0.1.0")(&error);
}

async fn refused(wasm: Vec<u8>, change: impl FnOnce(&mut WasmOptions)) -> PluginError {
    let wanted = Wanted::of("wasm-extism", "guest", wasm);
    let bench = Bench::with(Place::Here, wanted, change).await;
    let error = bench.host.initialize(&bench.plugin).await.unwrap_err();
    let kept = std::fs::read_dir(bench.folder.path().join("state/wasm-cache")).unwrap();
    assert_eq!(kept.count(), 0, "nothing is left of it");
    error
}

#[tokio::test]
async fn what_is_too_much_to_compile_is_refused() {
    let many = wat::parse_str(format!("(module {})", "(func)".repeat(2_000))).unwrap();
    let error = refused(many.clone(), |options| options.compile.functions = 1_000).await;
    code("FC0651", "functions")(&error);
    let error = refused(many, |options| options.compile.file_bytes = 1_000).await;
    code("FC0651", "1000 bytes")(&error);
}

#[tokio::test]
async fn a_compile_bomb_is_killed_when_its_time_is_over() {
    // One function of many blocks, each reached from all: more than any compiler does at once.
    let body =
        "(block (br_if 0 (local.get 0)) (local.set 0 (i32.mul (local.get 0) (local.get 1))))";
    let function = format!("(func (param i32 i32) {})", body.repeat(100_000));
    let wasm = wat::parse_str(format!("(module {})", function.repeat(4))).unwrap();
    let error = refused(wasm, |options| options.compile.time = Duration::from_millis(50)).await;
    code("FC0651", "too long")(&error);
}

#[tokio::test]
async fn what_is_no_webassembly_is_refused() {
    for bytes in [&b""[..], b"\0asm", b"#!/bin/sh\n", b"\x7fELF", &[0xff; 1_000]] {
        code("FC0650", "no WebAssembly")(&refused(bytes.to_vec(), |_| {}).await);
    }
    // Right at first sight, and wrong inside.
    let wasm = wat::parse_str("(module (func (export \"execute\") (result i32)))").unwrap();
    code("FC0650", "no WebAssembly")(&refused(wasm, |_| {}).await);
}
