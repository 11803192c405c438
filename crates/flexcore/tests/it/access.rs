//! Who may ask a server for what: keys, roles, tenants, and the trail that it leaves.

use serde_json::{Value, json};

use crate::{
    project::{Project, wait_until},
    serve::Served,
};

const PIPELINE: &str = "\
pipeline: small
steps:
  - { id: one, command: { run: \"true\" } }
";

/// Makes a key on the command line; the server that holds the store makes it.
fn key(project: &Project, arguments: &[&str]) -> String {
    let made = project.flexcore(&[&["key", "create"], arguments].concat()).ends_with(0);
    let key = made.stdout.trim().to_owned();
    assert!(key.starts_with("flx_"), "{key}");
    assert!(made.stderr.contains("cannot be shown again"));
    key
}

fn id_of(key: &str) -> &str {
    let (place, _) = key["flx_".len()..].rsplit_once('_').expect("an id and a secret");
    place.split_once('.').map_or(place, |(_, id)| id)
}

/// A server whose requests carry a key.
fn with(server: &Served, key: &str) -> Served {
    server.known_by(key)
}

#[test]
fn a_key_allows_what_its_role_says_until_it_is_revoked() {
    let project = Project::with(PIPELINE);
    project.flexcore(&["run", "pipeline.yaml"]).ends_with(0);
    let server = Served::start(&project, &[]);
    let key = key(&project, &["nightly", "--role", "operator", "--expires", "1d"]);
    let caller = with(&server, &key);

    let who = caller.get("me").json();
    assert_eq!(who["actor"], format!("key:{}", id_of(&key)));
    assert_eq!(who["tenant"], "default");
    assert_eq!(caller.get("pipelines").json()["items"][0]["name"], "small");
    assert_eq!(caller.post("pipelines/small/executions", &json!({})).status, 202);
    for (path, permission) in [("audit", "audit.read"), ("keys", "key.read")] {
        let refused = caller.get(path);
        assert_eq!((refused.status, &*refused.code()), (403, "FC0205"), "{path}");
        assert!(refused.json()["detail"].as_str().is_some_and(|text| text.contains(permission)));
    }
    let made = caller.post("keys", &json!({ "name": "mine", "roles": ["viewer"] }));
    assert_eq!(made.code(), "FC0205");
    let changed = caller.post("pipelines", &json!({ "document": {} }));
    assert_eq!(changed.code(), "FC0205");

    let header = caller.head("GET", "me").replace("Authorization: Bearer", "X-API-Key:");
    assert_eq!(server.send(&header, "").status, 200, "the other header does as well");

    let revoke = ["key", "revoke", id_of(&key), "--reason", "a test"];
    project.flexcore(&revoke).ends_with(0);
    let refused = caller.get("me");
    assert_eq!((refused.status, &*refused.code()), (401, "FC0722"));
    let last = if key.ends_with('0') { "1" } else { "0" };
    let forged = format!("{}{last}", &key[..key.len() - 1]);
    assert_eq!(with(&server, &forged).get("me").code(), "FC0701", "no more to who only guesses");
    server.end();
    project.assert_log_verifies();
}

#[test]
fn nothing_that_is_stored_or_shown_is_a_key() {
    let project = Project::with(PIPELINE);
    let key = key(&project, &["loader", "--permission", "pipeline.*"]);
    let (_, secret) = key.rsplit_once('_').expect("a secret");
    for arguments in [&["key", "list"][..], &["audit"], &["events", "read", "--limit", "1000"]] {
        for output in ["text", "json"] {
            let shown = project.flexcore(&[arguments, &["--output", output]].concat()).ends_with(0);
            assert!(!shown.stdout.contains(secret), "{arguments:?}");
        }
    }
    let listed: Value = project.json(&["key", "list"]).ends_with(0).value();
    assert_eq!(listed["items"][0]["name"], "loader");
    assert_eq!(listed["items"][0]["status"], "active");
    let log = std::fs::read(project.path(".flexcore/log.db")).expect("the log");
    assert!(!log.windows(secret.len()).any(|window| window == secret.as_bytes()));
}

#[test]
fn nobody_gives_what_they_do_not_have() {
    let project = Project::with(PIPELINE);
    let server = Served::start(&project, &[]);
    let rights = ["--permission", "key.*", "--permission", "role.*", "--role", "viewer"];
    let caller = with(&server, &key(&project, &[&["maker"], &rights[..]].concat()));
    for body in [
        json!({ "name": "x", "roles": ["admin"] }),
        json!({ "name": "x", "roles": ["operator"] }),
        json!({ "name": "x", "permissions": ["pipeline.execute"] }),
        json!({ "name": "x", "permissions": ["pipeline.*"] }),
        json!({ "name": "x", "permissions": ["*"] }),
    ] {
        let refused = caller.post("keys", &body);
        assert_eq!((refused.status, &*refused.code()), (403, "FC0724"), "{body}");
    }
    let role = |name: &str, body: &Value| {
        let head = caller.head("PUT", &format!("roles/{name}"));
        caller.send(&(head + "Content-Type: application/json\r\n"), &body.to_string())
    };
    let define = json!({ "permissions": ["plugin.register"] });
    assert_eq!(role("loader", &define).code(), "FC0724");
    let define = json!({ "permissions": ["plugin.read", "key.*"] });
    assert_eq!(role("loader", &define).status, 200);
    assert_eq!(role("admin", &define).code(), "FC0203", "built-in roles are what they are");
    let made = caller.post("keys", &json!({ "name": "x", "roles": ["loader"] }));
    assert_eq!(made.status, 201, "{}", made.body);
    let made = made.json()["key"].as_str().expect("a key").to_owned();
    assert_eq!(with(&server, &made).get("plugins").status, 200);

    // A role that changes changes what its keys allow, at once.
    let define = json!({ "permissions": ["key.read"] });
    assert_eq!(role("loader", &define).status, 200);
    assert_eq!(with(&server, &made).get("plugins").code(), "FC0205");
    let removed = caller.send(&caller.head("DELETE", "roles/loader"), "");
    assert_eq!(removed.status, 200, "{}", removed.body);
    assert_eq!(with(&server, &made).get("keys").code(), "FC0205");

    for (body, code) in [
        (json!({ "name": "", "roles": ["viewer"] }), "FC0202"),
        (json!({ "name": "x" }), "FC0203"),
        (json!({ "name": "x", "roles": ["nobody"] }), "FC0201"),
        (json!({ "name": "x", "permissions": ["pipelines.read"] }), "FC0202"),
        (json!({ "name": "x", "roles": ["viewer"], "expires": "soon" }), "FC0202"),
        (json!({ "name": "x", "roles": ["viewer"], "expires": "2020-01-01T00:00:00Z" }), "FC0203"),
        (json!({ "name": "x", "roles": ["viewer"], "certificate": "ab" }), "FC0202"),
        (json!({ "name": "x", "roles": ["viewer"], "colour": "red" }), "FC0708"),
    ] {
        assert_eq!(caller.post("keys", &body).code(), code, "{body}");
    }
    server.end();
}

#[test]
fn a_tenant_has_its_own_keys_and_nothing_of_others() {
    let project = Project::with(PIPELINE);
    let server = Served::start(&project, &[]);
    let own = key(&project, &["own", "--role", "admin"]);
    let key = key(&project, &["first", "--role", "admin", "--tenant", "acme"]);
    assert!(key.starts_with("flx_acme.ak_"), "{key}");
    let caller = with(&server, &key);
    assert_eq!(caller.get("me").json()["tenant"], "acme");
    let keys = caller.get("keys").json();
    assert_eq!(keys["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(keys["items"][0]["name"], "first");
    let path = format!("keys/{}", id_of(&own));
    let refused = caller.send(&caller.head("DELETE", &path), "");
    assert_eq!((refused.status, &*refused.code()), (404, "FC0201"));
    assert_eq!(with(&server, &own).get("me").status, 200);

    // An admin of a tenant is none of the system.
    for body in [
        json!({ "name": "x", "permissions": ["system.verify"] }),
        json!({ "name": "x", "permissions": ["system.*"] }),
    ] {
        assert_eq!(caller.post("keys", &body).code(), "FC0203", "{body}");
    }
    let other = json!({ "name": "x", "roles": ["viewer"], "tenant": "default" });
    assert_eq!(caller.post("keys", &other).code(), "FC0205");
    let prune = json!({ "command": "PruneStore", "body": { "before": "90d", "dry_run": true } });
    assert_eq!(caller.post("commands", &prune).code(), "FC0205");

    let trail = caller.get("audit").json();
    let actors: Vec<&Value> = items(&trail).iter().map(|record| &record["actor"]).collect();
    let actor = json!(format!("key:{}", id_of(&key)));
    assert!(actors[1..].iter().all(|one| **one == actor), "{actors:?}");
    server.end();
}

fn items(page: &Value) -> &Vec<Value> {
    page["items"].as_array().expect("items")
}

#[test]
fn every_command_and_every_denied_attempt_leaves_a_trace() {
    let project = Project::with(PIPELINE);
    project.flexcore(&["run", "pipeline.yaml"]).ends_with(0);
    let server = Served::start(&project, &[]);
    let caller = with(&server, &key(&project, &["reader", "--role", "viewer"]));
    assert_eq!(caller.post("pipelines/small/executions", &json!({})).code(), "FC0205");
    for _ in 0..5 {
        assert_eq!(caller.post("pipelines/small/executions", &json!({})).code(), "FC0205");
    }
    let cancelled = server.post("executions/last/cancel", &json!({}));
    assert_eq!(cancelled.code(), "FC0203", "it has ended");
    assert_eq!(with(&server, "flx_ak_x_y").get("me").code(), "FC0701");
    server.end();

    let page: Value = project.json(&["audit"]).ends_with(0).value();
    let told = |outcome: &str, request: &str| {
        let is_one = |one: &&Value| one["outcome"] == outcome && one["request"] == request;
        items(&page).iter().filter(is_one).collect::<Vec<_>>()
    };
    let run = told("accepted", "ExecutePipeline");
    assert_eq!(run.len(), 1);
    assert!(run[0]["actor"].as_str().is_some_and(|actor| actor.starts_with("user:")));
    let subject = run[0]["subject"].as_str().expect("a subject");
    assert!(subject.starts_with("default/execution/ex_"), "{subject}");
    // The record stands right behind what the command made, in the same append.
    let made = project.events().into_iter().find(|event| event.kind == "PipelineExecutionCreated");
    assert_eq!(run[0]["position"], made.expect("an execution").position + 1);
    let created = told("accepted", "CreateApiKey");
    assert!(created[0]["actor"].as_str().is_some_and(|actor| actor.starts_with("uid:")));
    let refused = told("refused", "CancelExecution");
    assert_eq!((&refused[0]["code"], &refused[0]["actor"]), (&json!("FC0203"), &json!("operator")));
    let denied = told("denied", "ExecutePipeline");
    let times: u64 = denied.iter().filter_map(|one| one["times"].as_u64()).sum();
    assert_eq!((denied.len(), times), (2, 6), "one at once, the others counted");
    assert_eq!(told("denied", "authenticate").len(), 1);
    project.assert_log_verifies();
}

#[test]
fn another_user_of_this_machine_cannot_read_the_token() {
    use std::os::unix::{fs::PermissionsExt as _, process::CommandExt as _};
    let project = Project::with(PIPELINE);
    let server = Served::start(&project, &[]);
    let file = project.path(".flexcore/token");
    let mode = std::fs::metadata(&file).expect("the token").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    // Only root can become somebody else.
    if rustix::process::geteuid().is_root() {
        let mut other = std::process::Command::new("/bin/cat");
        let read = other.arg(&file).uid(65_534).gid(65_534).output().expect("cat");
        assert!(!read.status.success() && read.stdout.is_empty());
    }
    wait_until("it answers", || server.get("me").status == 200);
    server.end();
}

/// A token as an issuer signs it that shares a secret (HS256, RFC 7515).
fn token(header: &Value, claims: &Value, secret: &[u8; 32]) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(hmac(secret, message.as_bytes())))
}

/// HMAC with SHA-256 (RFC 2104) of a key that is shorter than a block.
fn hmac(secret: &[u8; 32], message: &[u8]) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    let padded = |pad: u8| {
        let mut block = [pad; 64];
        block.iter_mut().zip(secret).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().to_vec()
}

fn seconds() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "tokens are held against the real time")]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).expect("a time after 1970").as_secs()
}

#[test]
fn tokens_of_others_are_believed_as_the_settings_say() {
    let project = Project::with(PIPELINE);
    project.flexcore(&["run", "pipeline.yaml"]).ends_with(0);
    project.write(
        ".flexcore/server.toml",
        "[auth.jwt]\nissuer = \"https://id.example\"\naudience = \"flexcore\"\n\
         secret_file = \"jwt.secret\"\ntenant_claim = \"org\"\n",
    );
    let secret = b"0123456789abcdef0123456789abcdef";
    project.write(".flexcore/jwt.secret", secret);
    let server = Served::start(&project, &[]);
    assert_eq!(server.get("me").code(), "FC0701", "the local token counts no more");

    let claims = |name: &str, value: Value| {
        let mut claims = json!({
            "sub": "ann", "iss": "https://id.example", "aud": "flexcore", "org": "default",
            "exp": seconds() + 600, "roles": ["viewer", "unknown"],
        });
        claims[name] = value;
        claims
    };
    let signed = |claims: Value| token(&json!({ "alg": "HS256" }), &claims, secret);
    let ann = with(&server, &signed(claims("sub", json!("ann"))));
    assert_eq!(ann.get("me").json()["actor"], "user:ann");
    assert_eq!(ann.get("pipelines").json()["items"][0]["name"], "small");
    assert_eq!(ann.post("pipelines/small/executions", &json!({})).code(), "FC0205");
    let ben = with(&server, &signed(claims("org", json!("acme"))));
    assert_eq!(ben.get("me").json()["tenant"], "acme");

    let good = claims("sub", json!("ann"));
    let none = token(&json!({ "alg": "none" }), &good, secret);
    let unsigned = none[..=none.rfind('.').expect("a signature")].to_owned();
    let cases = [
        (none, 401, "FC0701"),
        (unsigned, 401, "FC0701"),
        (token(&json!({ "alg": "HS256" }), &good, &[7; 32]), 401, "FC0701"),
        (token(&json!({ "alg": "HS512" }), &good, secret), 401, "FC0701"),
        (signed(claims("exp", json!(seconds() - 600))), 401, "FC0721"),
        (signed(claims("aud", json!("other"))), 401, "FC0723"),
        (signed(claims("iss", json!("https://evil.example"))), 401, "FC0723"),
        (signed(claims("org", json!("Acme Inc."))), 403, "FC0727"),
        (signed(claims("org", json!(null))), 403, "FC0727"),
        (signed(claims("sub", json!(""))), 403, "FC0727"),
    ];
    for (token, status, code) in cases {
        let refused = with(&server, &token).get("me");
        assert_eq!((refused.status, &*refused.code()), (status, code), "{token}");
        assert!(!refused.body.contains(&token));
    }
    let key = key(&project, &["beside", "--role", "viewer"]);
    assert_eq!(with(&server, &key).get("me").status, 200, "keys go on to count");
    server.end();
}

#[test]
fn others_may_reach_a_server_that_knows_its_callers() {
    let project = Project::with(PIPELINE);
    let anywhere = ["serve", "--address", "0.0.0.0", "--port", "0"];
    let refused = project.flexcore(&anywhere);
    assert!(refused.stderr.contains("FC0711"), "{refused}");
    project.write(".flexcore/server.toml", "[auth]\napi_keys = true\n");
    let running = project.start(&anywhere);
    wait_until("it listens", || running.stderr().contains("listening on http://0.0.0.0:"));
    running.signal(rustix::process::Signal::TERM);
    running.finish().ends_with(0);

    project.write(".flexcore/server.toml", "[auth.jwt]\nissuer = \"https://id.example\"\n");
    let refused = project.flexcore(&["serve", "--port", "0"]);
    assert_eq!(refused.status.code(), Some(4), "{refused}");
    assert!(refused.stderr.contains("FC0725"), "{refused}");
}
