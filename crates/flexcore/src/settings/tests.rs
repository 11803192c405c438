use std::time::Duration;

use flexcore_cli::SettingFlag;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{layers::Origin, telemetry::TelemetryProtocol, *};

/// A state folder with this file, and an environment.
struct Stage {
    folder: TempDir,
    environment: BTreeMap<String, String>,
    flags: SettingFlags,
}

impl Stage {
    fn new(file: &str) -> Self {
        let folder = TempDir::new().unwrap();
        if !file.is_empty() {
            fs::write(folder.path().join(FILE), file).unwrap();
        }
        Self { folder, environment: BTreeMap::new(), flags: SettingFlags::default() }
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn flag(mut self, key: &'static str, flag: &'static str, value: Value) -> Self {
        self.flags.values.push(SettingFlag { key, flag, value });
        self
    }

    fn load(&self) -> Result<LoadedSettings, HostError> {
        Settings::load(Sources {
            environment: &self.environment,
            current_folder: Path::new("/here"),
            state_folder: self.folder.path(),
            flags: &self.flags,
        })
    }

    #[track_caller]
    fn refused(&self, code: &str) -> String {
        let error = self.load().unwrap_err();
        assert_eq!(error.code, code, "{error}");
        let folder = self.folder.path().display().to_string();
        format!("{error}; {}", error.hint.as_deref().unwrap_or_default()).replace(&folder, "STATE")
    }
}

fn origin(loaded: &LoadedSettings, key: &str) -> String {
    let entry = loaded.entries.iter().find(|entry| entry.key == key).unwrap();
    let text = entry.origin.to_string();
    text.rsplit_once('/').map_or(text.clone(), |(_, name)| name.to_owned())
}

#[test]
fn without_any_source_the_defaults_hold() {
    let loaded = Stage::new("").load().unwrap();
    assert_eq!(loaded.settings, Settings::default());
    assert_eq!(loaded.file, None);
    assert!(loaded.entries.iter().all(|entry| entry.origin == Origin::Default));
    assert_eq!(loaded.settings.server.socket_address().to_string(), "127.0.0.1:8080");
}

#[test]
fn a_later_source_wins_and_every_value_knows_where_it_came_from() {
    let stage = Stage::new("[server]\naddress = '::1'\nport = 1\nmax_body = '1MiB'\n")
        .variable("FLEXCORE_PORT", "2")
        .variable("FLEXCORE_ROLES", "api")
        .flag("server.roles", "--roles", json!(["worker"]));
    let loaded = stage.load().unwrap();
    let server = &loaded.settings.server;
    assert_eq!(server.socket_address().to_string(), "[::1]:2");
    assert_eq!((&*server.roles, server.max_body), (&[Role::Worker][..], 1 << 20));
    let from = |key| origin(&loaded, key);
    assert_eq!(from("server.address"), "server.toml:2");
    assert_eq!(from("server.max_body"), "server.toml:4");
    assert_eq!(from("server.port"), "FLEXCORE_PORT");
    assert_eq!(from("server.roles"), "--roles");
    assert_eq!(from("server.tls.key"), "default");
}

#[test]
fn a_variable_means_what_its_setting_takes() {
    let stage = Stage::new("")
        .variable("FLEXCORE_ALLOW_HOSTS", "a.example, b.example")
        .variable("FLEXCORE_REQUEST_TIMEOUT", "5m")
        .variable("FLEXCORE_METRICS_ENABLED", "off")
        .variable("FLEXCORE_TRACING_ENABLED", "1")
        .variable("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        .variable("OTEL_SERVICE_NAME", "true")
        .variable("OTEL_TRACES_SAMPLER_ARG", "0.25")
        .variable("FLEXCORE_LIMITS_BURST", "7")
        .variable("FLEXCORE_LOG_LEVEL", "")
        .variable("OTEL_UNHEARD_OF", "1")
        .variable("FLEXCORE_SECRET_DB", "x");
    let Settings { server, limits, telemetry, .. } = stage.load().unwrap().settings;
    assert_eq!(server.allow_hosts, ["a.example", "b.example"]);
    assert_eq!(server.request_timeout, Duration::from_mins(5));
    assert_eq!((telemetry.metrics, telemetry.tracing), (false, Some(true)));
    assert_eq!(telemetry.protocol, TelemetryProtocol::Http);
    assert_eq!((&*telemetry.service_name, telemetry.sample_ratio), ("true", 0.25));
    assert_eq!((limits.burst, telemetry.log_level), (Some(7), None));
}

#[test]
fn paths_of_a_file_start_at_its_folder_and_others_at_the_working_directory() {
    let stage = Stage::new("[server.tls]\ncertificate = 'tls/cert.pem'\nkey = '/abs/key.pem'\n")
        .variable("FLEXCORE_TLS_CLIENT_CA", "ca.pem");
    let tls = stage.load().unwrap().settings.server.tls;
    assert_eq!(tls.certificate, Some(stage.folder.path().join("tls/cert.pem")));
    assert_eq!(tls.key, Some(PathBuf::from("/abs/key.pem")));
    assert_eq!(tls.client_ca, Some(PathBuf::from("/here/ca.pem")));
    let keys: Vec<String> =
        stage.load().unwrap().entries.into_iter().map(|entry| entry.key).collect();
    for path in PATHS {
        assert!(keys.iter().any(|key| key == path), "{path}");
    }
}

#[test]
fn what_nobody_knows_is_refused_with_what_was_meant() {
    let said = Stage::new("[server]\nport = 1\nadress = '::1'\n").refused("FC0770");
    insta::assert_snapshot!(said, @"STATE/server.toml:3: there is no setting `server.adress`; did you mean `server.address`?");
    let said = Stage::new("[servers]\n").refused("FC0770");
    insta::assert_snapshot!(said, @"STATE/server.toml:1: there is no setting `servers`; did you mean `server`?");
    let said = Stage::new("[server.tls]\nwhatever = 1\n").refused("FC0770");
    insta::assert_snapshot!(said, @"STATE/server.toml:2: there is no setting `server.tls.whatever`; docs/configuration.md has every setting");
    let said = Stage::new("").variable("FLEXCORE_PROT", "1").refused("FC0771");
    insta::assert_snapshot!(said, @"nobody knows the variable FLEXCORE_PROT; did you mean FLEXCORE_PORT? If not, unset it");
    let said = Stage::new("").variable("FLEXCORE_SOMETHING_ELSE", "1").refused("FC0771");
    insta::assert_snapshot!(said, @"nobody knows the variable FLEXCORE_SOMETHING_ELSE; docs/configuration.md has every variable; unset this one");
}

#[test]
fn a_wrong_value_is_refused_where_it_was_said() {
    let said = Stage::new("\n[server]\nport = 'x'\n").refused("FC0772");
    insta::assert_snapshot!(said, @r#"STATE/server.toml:3: `server.port` cannot be that: invalid type: string "x", expected u16; docs/configuration.md has every setting with what it takes"#);
    let said = Stage::new("server = 1\n").refused("FC0772");
    insta::assert_snapshot!(said, @"STATE/server.toml:1: `server` is a section, written `[server]`;");
    let said = Stage::new("[server]\nroles = ['api', 'boss']\n").refused("FC0772");
    insta::assert_snapshot!(said, @"STATE/server.toml:2: `server.roles` cannot be that: unknown variant `boss`, expected one of `api`, `worker`, `projection`, `scheduler`; docs/configuration.md has every setting with what it takes");
    let said = Stage::new("").variable("FLEXCORE_PORT", "70000").refused("FC0772");
    insta::assert_snapshot!(said, @r#"FLEXCORE_PORT: `server.port` cannot be that: invalid type: string "70000", expected u16; docs/configuration.md has every setting with what it takes"#);
    let said = Stage::new("").variable("FLEXCORE_MAX_BODY", "8MB").refused("FC0772");
    insta::assert_snapshot!(said, @"FLEXCORE_MAX_BODY: `server.max_body` cannot be that: `8MB` is no size such as `64KiB` or `8MiB`; docs/configuration.md has every setting with what it takes");
    let said = Stage::new("[server\n").refused("FC0773");
    insta::assert_snapshot!(said, @"STATE/server.toml:1: this is not TOML: unclosed table, expected `]`;");
    let said = Stage::new("").variable("FLEXCORE_CONFIG", "nowhere.toml").refused("FC0773");
    insta::assert_snapshot!(said, @"the settings in /here/nowhere.toml cannot be read: No such file or directory (os error 2);");
}

/// One row for each setting, with its variable and its default.
#[test]
fn the_documentation_has_every_setting() {
    let text = include_str!("../../../../docs/configuration.md");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let entries = Stage::new("").load().unwrap().entries;
    for entry in &entries {
        let default = match &entry.value {
            Value::Null => "–".to_owned(),
            Value::Array(items) if items.is_empty() => "–".to_owned(),
            Value::Array(items) => {
                let items: Vec<_> = items.iter().filter_map(Value::as_str).collect();
                format!("`{}`", items.join(", "))
            }
            Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        let row = [&*format!("`{}`", entry.key), &*format!("`{}`", entry.variable), &default];
        assert!(
            rows.iter().any(|cells| cells.get(1..4) == Some(&row)),
            "docs/configuration.md lacks: | {} | {} | {} | … |",
            row[0],
            row[1],
            row[2]
        );
    }
    let known = |key: &str| entries.iter().any(|entry| format!("`{}`", entry.key) == key);
    let of_settings = rows.iter().filter(|cells| cells.len() == 6);
    for cells in of_settings {
        assert!(known(cells[1]), "docs/configuration.md has {}, which is no setting", cells[1]);
    }
}
