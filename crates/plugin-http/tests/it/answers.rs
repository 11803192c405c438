//! What bad services answer, and what it is called.

use flexcore_domain::ErrorClass;
use serde_json::json;

use crate::support::{Service, call, callable, execute, failure, manifest};

#[tokio::test]
async fn whatever_is_no_answer_has_its_name() {
    let service = Service::plain();
    let plugin = service.plugin();
    for (operation, code, class, said) in [
        ("garbage", "FC0662", ErrorClass::ExitCode, "it is no JSON"),
        ("deep", "FC0662", ErrorClass::ExitCode, "recursion"),
        (
            "text",
            "FC0662",
            ErrorClass::ExitCode,
            "it is `text/plain`; it must be `application/json`",
        ),
        ("encoded", "FC0662", ErrorClass::ExitCode, "encoded as `gzip`"),
        ("half", "FC0662", ErrorClass::ExitCode, "half an answer is none"),
        ("short", "FC0662", ErrorClass::ExitCode, "it broke off"),
        ("broken", "FC0664", ErrorClass::ExitCode, "failed: The table is gone: ORDERS was dropped"),
        ("problem", "FC0664", ErrorClass::Refused, "answered 422: No such table: ORDERS is gone"),
        ("busy", "FC0664", ErrorClass::Network, "answered 503: Busy"),
        ("crash", "FC0664", ErrorClass::ExitCode, "answered 500: Internal Server Error"),
        ("headers", "FC0660", ErrorClass::Network, "message head is too large"),
    ] {
        let error = failure(&plugin, operation).await;
        assert_eq!((error.code, error.class), (code, class), "{operation}: {error}");
        assert!(error.message.contains(said), "{operation}: {error}");
        assert!(
            error.message.starts_with("plugin `flext`")
                || error.message.contains("of plugin `flext`")
        );
    }
    // The service lives, and the next call is answered.
    assert!(execute(&plugin, call("echo")).await.outcome.is_ok());
}

#[tokio::test]
async fn an_answer_without_end_ends_at_its_limit() {
    let service = Service::plain();
    let address = service.url().replace("http", "tcp");
    let text = manifest(
        &service.url(),
        &address,
        "[limits]\noutput_bytes = \"1MiB\"\nmax_frame = \"4MiB\"",
    );
    let grants = format!("grants = 1\n[[grant]]\nplugin = \"flext\"\nnetwork = [\"{address}\"]\n");
    let plugin = callable(&text, &grants);
    for operation in ["flood", "flood-json"] {
        let error = failure(&plugin, operation).await;
        assert_eq!((error.code, error.is_fault), ("FC0663", true), "{error}");
        assert!(error.message.contains("its answer has more than 1048576 bytes"), "{error}");
    }
    let text = text.replace("\"4MiB\"", "\"128KiB\"");
    let error = failure(&callable(&text, &grants), "flood").await;
    assert!(error.message.contains("a line of its answer has more than 131072 bytes"), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let service = Service::plain();
    let elsewhere = Service::plain();
    let mut redirected = call("elsewhere");
    redirected.config = json!({ "to": format!("{}/execute", elsewhere.url()) });
    let end = execute(&service.plugin(), redirected).await;
    let error = end.outcome.unwrap_err();
    assert_eq!((error.code, error.class), ("FC0665", ErrorClass::Refused));
    assert!(
        error.message.contains(&format!("answered 307 and sends to {}", elsewhere.url())),
        "{error}"
    );
}
