//! Deadlines and cancels.

use std::{sync::Arc, time::Duration};

use flexcore_domain::ErrorClass;
use flexcore_ports::{PluginCall, PluginHost as _};
use tokio_util::sync::CancellationToken;

use crate::support::{Lines, Service, call, callable, cancelled, execute, host, manifest};

#[tokio::test]
async fn a_service_that_never_answers_is_left_at_the_deadline_and_told_so() {
    let service = Service::plain();
    let late = PluginCall { timeout: Some(Duration::from_millis(300)), ..call("silent") };
    let error = execute(&service.plugin(), late).await.outcome.unwrap_err();
    assert_eq!((error.code, error.class, error.is_fault), ("FC0661", ErrorClass::Timeout, true));
    assert!(error.message.contains("gave no answer within 300ms"), "{error}");
    assert_eq!(cancelled(&service).await, ["ex1/load/1"]);
}

#[tokio::test]
async fn an_answer_that_stands_still_is_left() {
    let service = Service::plain();
    let address = service.url().replace("http", "tcp");
    let text = manifest(&service.url(), &address, "[limits]\nidle = \"300ms\"");
    let grants = format!("grants = 1\n[[grant]]\nplugin = \"flext\"\nnetwork = [\"{address}\"]\n");
    let error = execute(&callable(&text, &grants), call("drip")).await.outcome.unwrap_err();
    assert_eq!(error.code, "FC0661");
    assert!(error.message.contains("moved nothing within 300ms"), "{error}");
}

#[tokio::test]
async fn a_cancel_reaches_the_service() {
    let service = Service::plain();
    let plugin = service.plugin();
    let (log, cancel) = (Arc::new(Lines::default()), CancellationToken::new());
    let (host, token, lines) = (host(), cancel.clone(), Arc::clone(&log));
    let running =
        tokio::spawn(async move { host.execute(&plugin, call("drip"), lines, token).await });
    // Its first line is here, so it runs.
    log.changed.notified().await;
    cancel.cancel();
    let error = running.await.unwrap().outcome.unwrap_err();
    assert!(error.cancelled && !error.is_fault, "{error:?}");
    assert_eq!(cancelled(&service).await, ["ex1/load/1"]);
}
