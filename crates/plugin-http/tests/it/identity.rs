//! TLS, certificates and tokens.

use flexcore_domain::ErrorClass;
use flexcore_plugin_http::{HttpHost, HttpOptions};
use flexcore_ports::{PluginEnd, PluginHost as _};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

use crate::support::{Lines, Service, call, options, plugin};

async fn echo(service: &Service, options: HttpOptions, rest: &str) -> PluginEnd {
    let plugin = plugin(&service.url(), rest);
    let host = HttpHost::new(options);
    host.execute(&plugin, call("echo"), Arc::new(Lines::default()), CancellationToken::new()).await
}

fn trusting(service: &Service, options: HttpOptions) -> HttpOptions {
    HttpOptions { authorities: Some(service.certificate("authority.pem")), ..options }
}

#[tokio::test]
async fn a_token_is_shown_and_stays_out_of_the_call() {
    let service = Service::plain();
    let rest = "secrets = [\"flext_token\"]\nauth = \"bearer:flext_token\"";
    let end = echo(&service, options(&[("flext_token", "t0ken")]), rest).await;
    let result = end.outcome.unwrap().result.unwrap();
    assert_eq!(result["headers"]["authorization"], "Bearer t0ken");
    assert_eq!(result["call"]["secrets"], serde_json::json!({}));
    let used: Vec<&str> = end.uses.iter().map(|one| &*one.capability).collect();
    assert_eq!(used[1..], ["secrets flext_token"]);

    let error = echo(&service, options(&[]), rest).await.outcome.unwrap_err();
    assert_eq!((error.code, error.class), ("FC0666", ErrorClass::Refused));
    let error =
        echo(&service, options(&[("flext_token", "a\nb")]), rest).await.outcome.unwrap_err();
    assert_eq!(error.code, "FC0666");
    assert!(!error.message.contains('\n'), "{error}");
    let ungranted = "auth = \"bearer:flext_token\"";
    let error = echo(&service, options(&[]), ungranted).await.outcome.unwrap_err();
    assert_eq!(error.code, "FC0611");
}

#[tokio::test]
async fn a_service_that_nobody_vouches_for_is_not_talked_to() {
    let service = Service::tls(&[]);
    let error = echo(&service, options(&[]), "").await.outcome.unwrap_err();
    assert_eq!((error.code, error.class), ("FC0660", ErrorClass::Network));
    assert!(error.message.contains("certificate"), "{error}");
    assert!(echo(&service, trusting(&service, options(&[])), "").await.outcome.is_ok());
}

#[tokio::test]
async fn a_certificate_is_shown_to_who_asks_for_it() {
    let service = Service::tls(&["--mutual"]);
    let rest = "secrets = [\"cert\", \"key\"]\nauth = \"mtls:cert,key\"";
    let secrets = [("cert", &*service.pem("client.pem")), ("key", &*service.pem("client.key"))];
    let end = echo(&service, trusting(&service, options(&secrets)), rest).await;
    assert!(end.outcome.is_ok(), "{:?}", end.outcome);

    let end = echo(&service, trusting(&service, options(&[])), "").await;
    assert_eq!(end.outcome.unwrap_err().code, "FC0660");
    let wrong = [("cert", "no certificate"), ("key", &*service.pem("client.key"))];
    let error =
        echo(&service, trusting(&service, options(&wrong)), rest).await.outcome.unwrap_err();
    assert_eq!(error.code, "FC0666");
    assert!(!error.message.contains("no certificate in PEM\nno"), "{error}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let service = Service::tls(&[]);
    let other = format!("https://127.0.0.2:{}", service.port);
    let host = HttpHost::new(trusting(&service, options(&[])));
    let error = host.health(&plugin(&other, "")).await.unwrap_err();
    assert_eq!(error.code, "FC0660", "{error}");
}
