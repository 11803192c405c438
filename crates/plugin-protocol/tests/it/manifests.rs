//! A manifest of each kind says what it means.

use flexcore_plugin_protocol::{
    HttpAuthentication, KindDetails, LimitName, Manifest, PluginKind, PluginType, WasmIsolation,
};
use proptest::prelude::*;

use crate::support::{MANIFESTS, manifest};

fn read(name: &str) -> Manifest {
    Manifest::parse(name, manifest(name)).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_singer_plugin_asks_for_what_it_needs() {
    let singer = read("singer.toml");
    assert_eq!((singer.kind, singer.plugin_type), (PluginKind::Singer, PluginType::Extractor));
    let asked: Vec<String> = singer.capabilities.iter().map(ToString::to_string).collect();
    assert_eq!(
        asked,
        [
            "network tcp://db.example.com:5432",
            "network https://api.github.com:443",
            "fs_read seeds",
            "fs_read /data/in",
            "fs_write scratch",
            "env TZ",
            "secrets pg_password",
            "clock",
        ]
    );
    let limits: Vec<(LimitName, u64)> = singer.limits.iter().collect();
    assert_eq!(limits.len(), LimitName::ALL.len());
    assert_eq!(singer.limits.get(LimitName::Swap), Some(0));
    assert_eq!(singer.limits.get(LimitName::Cpu), Some(500));
    assert_eq!(singer.limits.get(LimitName::Pids), Some(64));
    assert_eq!(singer.limits.duration(LimitName::Execute).unwrap().as_secs(), 600);
    assert_eq!(singer.limits.duration(LimitName::Memory), None);
    assert_eq!(singer.sandbox.require.len(), 5);
    assert!(singer.artifact.is_some());
}

#[test]
fn each_kind_has_its_details() {
    let KindDetails::Process(grpc) = read("process.toml").details else { panic!("no process") };
    assert_eq!((grpc.cookie_key.as_str(), grpc.app_versions), ("FLEX_PLUGIN", vec![1, 2]));
    assert_eq!(read("command.toml").entrypoint, ["/usr/bin/sort", "-u"]);
    let KindDetails::Wasm(wasm) = read("wasm-component.toml").details else { panic!("no wasm") };
    assert_eq!((wasm.isolation, wasm.fuel), (WasmIsolation::Process, None));
    let KindDetails::Wasm(wasm) = read("wasm-extism.toml").details else { panic!("no wasm") };
    assert_eq!((wasm.isolation, wasm.fuel), (WasmIsolation::InProcess, Some(1_000_000)));
    let http = read("http.toml");
    assert_eq!(http.host_secrets()[0].as_str(), "flext_token");
    let KindDetails::Http(http) = http.details else { panic!("no service") };
    assert_eq!(http.url, "https://flext.example.com:8443/oracle");
    assert!(matches!(http.authentication, HttpAuthentication::Bearer { .. }));
}

proptest! {
    #[test]
    fn a_manifest_with_any_line_changed_is_read_or_refused(
        which in 0..MANIFESTS.len(),
        at in 0..60_usize,
        line in "\\PC{0,30}|[a-z_]{1,8} = (\\[\\]|\\{\\}|-?[0-9]{1,20}|0\\.[0-9]|\"[a-z:/.*@]{0,12}\"|true|\\[\"[^\"]{0,9}\"\\])|\\[[a-z.]{1,9}\\]",
    ) {
        let (name, text) = MANIFESTS[which];
        let mut lines: Vec<&str> = text.lines().collect();
        let at = at % lines.len();
        lines[at] = &line;
        if let Err(found) = Manifest::parse(name, &lines.join("\n")) {
            for one in &found {
                prop_assert!(one.position.line as usize <= lines.len() + 1);
                prop_assert!(one.to_string().contains(one.mistake.code()));
            }
        }
    }
}
