//! What a Vault answers, and what becomes of it.

use std::{
    io,
    net::TcpStream,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use flexcore_ports::Secrets as _;
use flexcore_secrets::{
    ProvidedSecrets, SecretMask, VaultSecrets, VaultSettingError, VaultSettings, VaultToken,
};
use flexcore_testkit::vault::VaultDouble;
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

const TOKEN: &str = "hvs.a-token-that-nobody-may-see";
const PATIENCE: Duration = Duration::from_mins(1);

fn token(value: &str) -> VaultToken {
    VaultToken::Variable { name: "VAULT_TOKEN".to_owned(), value: Some(value.to_owned()) }
}

fn settings(vault: &VaultDouble) -> VaultSettings {
    VaultSettings::new(format!("http://{}", vault.address()), token(TOKEN))
}

fn vault() -> VaultDouble {
    let vault = VaultDouble::start().unwrap();
    vault.add_token(TOKEN, None, false);
    vault
}

fn secrets(settings: VaultSettings) -> ProvidedSecrets {
    let mask = Arc::new(SecretMask::default());
    let vault = VaultSecrets::new(settings, Arc::clone(&mask)).unwrap();
    ProvidedSecrets::new(vec![Box::new(vault)], mask)
}

async fn said(secrets: &ProvidedSecrets, name: &str) -> String {
    let said = secrets.get(name).await.unwrap_err().to_string();
    assert!(!said.contains(TOKEN), "{said}");
    said
}

fn reads(vault: &VaultDouble) -> usize {
    vault.requests().iter().filter(|line| line.contains("/data/")).count()
}

async fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "did not come about: {what}");
        // What happens in another thread sends no wake-up.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn secrets_are_fields_at_paths() {
    let vault = vault();
    vault.put("apps/shop/DB", r#"{"value":"correct-horse"}"#);
    vault.put("apps/shop/team/api", r#"{"user":"me","key":"battery-staple","port":5432}"#);
    let secrets = secrets(VaultSettings { prefix: "/apps/shop/".to_owned(), ..settings(&vault) });
    assert_eq!(secrets.get("DB").await.unwrap(), "correct-horse");
    assert_eq!(secrets.get("team/api#key").await.unwrap(), "battery-staple");
    assert_eq!(secrets.get("team/api.user").await.unwrap(), "me");
    assert_eq!(secrets.get("team/api#port").await.unwrap(), "5432");
    let mask = secrets.mask();
    assert_eq!(mask.apply("battery-staple, correct-horse"), "***, ***");
    assert_eq!(mask.apply(TOKEN), "***");
    let shown = format!("{secrets:?}");
    assert!(!shown.contains(TOKEN) && !shown.contains("staple"), "{shown}");
}

#[tokio::test]
async fn odd_names_lead_nowhere_else() {
    let vault = vault();
    vault.put("a%20b%3Fc", r#"{"value":"odd-but-legal"}"#);
    let secrets = secrets(settings(&vault));
    assert_eq!(secrets.get("a b?c").await.unwrap(), "odd-but-legal");
    for name in ["../../sys/health", "", "a//b", "x\ny"] {
        let said = said(&secrets, name).await;
        assert!(said.contains("FC0682"), "{said}");
    }
    assert_eq!(reads(&vault), 1);
}

#[tokio::test]
async fn what_was_read_is_remembered_for_a_while_and_what_is_absent_is_not() {
    let vault = vault();
    vault.put("DB", r#"{"value":"first-value"}"#);
    let remembering = secrets(settings(&vault));
    assert_eq!(remembering.get("DB").await.unwrap(), "first-value");
    vault.put("DB", r#"{"value":"second-value"}"#);
    assert_eq!(remembering.get("DB").await.unwrap(), "first-value");
    assert_eq!(reads(&vault), 1);
    let said = said(&remembering, "LATER").await;
    assert!(said.contains("is not set") && said.contains("/secret/LATER"), "{said}");
    vault.put("LATER", r#"{"value":"here-now"}"#);
    assert_eq!(remembering.get("LATER").await.unwrap(), "here-now");
    let forgetting = secrets(VaultSettings { remember: Duration::ZERO, ..settings(&vault) });
    assert_eq!(forgetting.get("DB").await.unwrap(), "second-value");
    vault.put("DB", r#"{"value":"third-value"}"#);
    assert_eq!(forgetting.get("DB").await.unwrap(), "third-value");
    assert_eq!(forgetting.mask().apply("second-value third-value"), "*** ***");
}

#[tokio::test]
async fn each_refusal_says_what_to_do() {
    let vault = vault();
    vault.put("OLD", r#"{"value":"gone"}"#);
    vault.delete("OLD");
    vault.put("MANY", r#"{"user":"a-user","key":"a-key-here"}"#);
    vault.deny("CLOSED");
    let open = secrets(settings(&vault));
    for (name, code, words) in [
        ("OLD", "FC0682", "deleted at 2026-02-03"),
        ("MANY", "FC0682", "add `#FIELD`"),
        ("MANY#password", "FC0682", "no field `password`, but `key`, `user`"),
        ("CLOSED", "FC0681", "lacks `read` on this path"),
    ] {
        let said = said(&open, name).await;
        assert!(said.contains(code) && said.contains(words), "{name}: {said}");
        assert!(!said.contains("a-key-here"), "{said}");
    }
    let elsewhere = VaultSettings { mount: "kv".to_owned(), ..settings(&vault) };
    let said_of_mount = said(&secrets(elsewhere), "DB").await;
    assert!(said_of_mount.contains("no secrets engine is mounted at `kv`"), "{said_of_mount}");
    vault.seal(true);
    let sealed = said(&open, "DB").await;
    assert!(sealed.contains("FC0680") && sealed.contains("unseal"), "{sealed}");
}

#[tokio::test]
async fn a_token_that_is_wrong_or_missing_is_named_by_its_place() {
    let vault = vault();
    let wrong = secrets(VaultSettings { token: token("hvs.wrong"), ..settings(&vault) });
    let said_of_wrong = said(&wrong, "DB").await;
    assert!(said_of_wrong.contains("VAULT_TOKEN (1 error occurred:"), "{said_of_wrong}");
    assert!(!said_of_wrong.contains("hvs.wrong"), "{said_of_wrong}");
    let missing = VaultToken::File(PathBuf::from("/nowhere/token"));
    let missing = secrets(VaultSettings { token: missing, ..settings(&vault) });
    let said_of_missing = said(&missing, "DB").await;
    assert!(said_of_missing.contains("FC0681") && said_of_missing.contains("/nowhere/token"));
}

#[tokio::test]
async fn a_file_may_get_another_token_at_any_time() {
    let vault = vault();
    vault.put("DB", r#"{"value":"correct-horse"}"#);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, format!("{TOKEN}\n")).unwrap();
    let token = VaultToken::File(path.clone());
    let remember = Duration::ZERO;
    let namespace = Some("team-a".to_owned());
    let secrets = secrets(VaultSettings { token, remember, namespace, ..settings(&vault) });
    secrets.get("DB").await.unwrap();
    vault.revoke(TOKEN);
    vault.add_token("hvs.another", None, false);
    assert!(said(&secrets, "DB").await.contains("refuses the token"));
    std::fs::write(&path, "hvs.another").unwrap();
    secrets.get("DB").await.unwrap();
    assert!(vault.namespaces().iter().all(|name| name == "team-a"));
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let vault = vault();
    vault.put("DB", r#"{"value":"correct-horse"}"#);
    vault.add_token(TOKEN, Some(Duration::from_secs(3)), true);
    let settings = VaultSettings { remember: Duration::ZERO, ..settings(&vault) };
    let secrets = secrets(settings);
    secrets.get("DB").await.unwrap();
    let renewals = || vault.requests().iter().filter(|line| line.contains("renew-self")).count();
    wait_until("the token is renewed twice", || renewals() >= 2).await;
    // It would have ended by now.
    secrets.get("DB").await.unwrap();
    drop(secrets);
}

#[tokio::test]
async fn nobody_there_and_nobody_who_is_a_vault_are_told_apart() {
    let nobody = VaultSettings::new("http://127.0.0.1:1", token(TOKEN));
    let said_of_nobody = said(&secrets(nobody), "DB").await;
    assert!(said_of_nobody.contains("FC0679") && said_of_nobody.contains("Connection refused"));
    // It accepts connections, which the system does for it, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let patience = Duration::from_millis(50);
    let silent = VaultSettings { patience, ..VaultSettings::new(address, token(TOKEN)) };
    assert!(said(&secrets(silent), "DB").await.contains("no answer within"));
}

fn tls_double() -> VaultDouble {
    let files = files();
    let certificates = CertificateDer::pem_file_iter(files.join("server.crt")).unwrap();
    let key = PrivateKeyDer::from_pem_file(files.join("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates.map(Result::unwrap).collect(), key)
        .unwrap();
    let config = Arc::new(config);
    let transport = move |socket: TcpStream| {
        let connection = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
        Ok(Box::new(StreamOwned::new(connection, socket)) as Box<_>)
    };
    let vault = VaultDouble::start_with(Box::new(transport)).unwrap();
    vault.add_token(TOKEN, None, false);
    vault
}

fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/tls")
}

#[tokio::test]
async fn only_the_named_authority_vouches_for_it() {
    let vault = tls_double();
    vault.put("DB", r#"{"value":"correct-horse"}"#);
    let address = format!("https://localhost:{}", vault.address().port());
    let unknown = VaultSettings::new(address, token(TOKEN));
    let named = VaultSettings { ca: Some(files().join("ca.crt")), ..unknown.clone() };
    assert_eq!(secrets(named.clone()).get("DB").await.unwrap(), "correct-horse");
    let said_of_unknown = said(&secrets(unknown), "DB").await;
    assert!(said_of_unknown.contains("certificate"), "{said_of_unknown}");
    let wrong = VaultSettings { ca: Some(files().join("server.key")), ..named };
    let refused = VaultSecrets::new(wrong, Arc::default()).unwrap_err();
    assert!(matches!(refused, VaultSettingError::Authorities { .. }), "{refused}");
}

#[tokio::test]
async fn settings_that_can_come_to_nothing_are_refused_at_once() {
    let of = |change: fn(&mut VaultSettings)| {
        let mut settings = VaultSettings::new("https://localhost:8200", token(TOKEN));
        change(&mut settings);
        VaultSecrets::new(settings, Arc::default()).map(|_| ()).unwrap_err()
    };
    assert_eq!(of(|one| one.address = "http://vault".to_owned()), VaultSettingError::NoTls);
    assert_eq!(of(|one| one.mount = String::new()), VaultSettingError::Path { key: "mount" });
    assert_eq!(
        of(|one| one.prefix = "../sys".to_owned()),
        VaultSettingError::Path { key: "prefix" }
    );
    assert_eq!(of(|one| one.namespace = Some("a\nb".to_owned())), VaultSettingError::Namespace);
}
