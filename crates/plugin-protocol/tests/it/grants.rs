//! What a plugin gets: manifest, step and grants together.

use flexcore_plugin_protocol::{
    Capabilities, CapabilityKind, CapabilityRequest, Effective, Grants, LimitName, Limits,
    Manifest, Requests, Rule, Subject, append_grant, effective, grant_lines,
};
use proptest::prelude::*;

use crate::support::{GRANTS, manifest};

fn subject() -> Subject {
    Subject {
        plugin: Some("tap-postgres".to_owned()),
        version: Some("1.4.2".to_owned()),
        ..Subject::default()
    }
}

fn in_sales() -> Subject {
    Subject {
        sha256: Some("2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae".to_owned()),
        pipeline: Some("sales".to_owned()),
        step: Some("load".to_owned()),
        ..subject()
    }
}

/// Capabilities as a grants file would write them.
fn capabilities(lines: &str) -> Capabilities {
    let text = format!("grants = 1\n[[grant]]\nplugin = \"p\"\n{lines}\n");
    Grants::parse("grants.toml", &text).unwrap().grants[0].capabilities.clone()
}

fn shown(effective: &Effective) -> (Vec<String>, Vec<String>) {
    let has = effective.capabilities.iter().map(ToString::to_string).collect();
    let refused = effective.refused.iter();
    let refused =
        refused.map(|one| format!("{} ({})", one.capability, one.rule.as_str())).collect();
    (has, refused)
}

#[test]
fn only_what_is_granted_is_there_and_the_rest_is_named() {
    let manifest = Manifest::parse("plugin.toml", manifest("singer.toml")).unwrap();
    let grants = Grants::parse("grants.toml", GRANTS).unwrap();
    let requests =
        Requests { manifest: Some((&manifest.capabilities, &manifest.limits)), step: None };

    let (has, refused) = shown(&effective(requests, &grants, &subject()));
    assert_eq!(
        has,
        ["network tcp://db.example.com:5432", "fs_write scratch", "secrets pg_password", "clock"]
    );
    assert_eq!(
        refused,
        [
            "network https://api.github.com:443 (grants)",
            "fs_read seeds (grants)",
            "fs_read /data/in (grants)",
            "env TZ (grants)",
        ]
    );
    let in_sales = effective(requests, &grants, &in_sales());
    assert!(shown(&in_sales).0.contains(&"fs_read /data/in".to_owned()));

    let nobody = effective(requests, &Grants::default(), &subject());
    assert_eq!(shown(&nobody).0, ["fs_write scratch"]);
    assert!(nobody.lacks_something());
}

#[test]
fn a_step_narrows_what_it_speaks_of_and_cannot_widen_the_manifest() {
    let manifest = capabilities(
        "network = [\"tcp://a:1\", \"tcp://b:1\"]\nsecrets = [\"s\"]\nfs_read = [\"/data\"]",
    );
    let step = CapabilityRequest {
        stated: [CapabilityKind::Network, CapabilityKind::FsRead].into_iter().collect(),
        asked: capabilities("network = [\"https://a:1\", \"tcp://c:1\"]\nfs_read = [\"/data/in\"]"),
    };
    let grants = Grants::parse(
        "grants.toml",
        "grants = 1\n[[grant]]\nplugin = \"p\"\nnetwork = [\"tcp://a:1\", \"tcp://b:1\", \"tcp://c:1\"]\nfs_read = [\"/data/in/new\"]\nsecrets = [\"s\"]\n",
    )
    .unwrap();
    let none = Limits::default();
    let requests = Requests { manifest: Some((&manifest, &none)), step: Some((&step, &none)) };
    let subject = Subject { plugin: Some("p".to_owned()), ..Subject::default() };

    let effective = effective(requests, &grants, &subject);
    let (has, refused) = shown(&effective);
    assert_eq!(has, ["network https://a:1", "fs_read /data/in/new", "secrets s"]);
    assert_eq!(
        refused,
        [
            "network tcp://a:1 (step)",
            "network tcp://b:1 (step)",
            "network tcp://c:1 (manifest)",
            "fs_read /data (step)",
            "fs_read /data/in (grants)",
        ]
    );
    assert_eq!(effective.not_granted().count(), 1);
}

#[test]
fn limits_are_the_smallest_of_all_and_a_lower_one_is_named() {
    let limits = |text: &str| {
        Grants::parse("grants.toml", &format!("grants = 1\n[limits]\n{text}\n")).unwrap().limits
    };
    let nothing = Capabilities::default();
    let manifest = limits("memory = \"2GiB\"\npids = 64");
    let step = limits("memory = \"4GiB\"\nexecute = \"5m\"");
    let request = CapabilityRequest::default();
    let requests =
        Requests { manifest: Some((&nothing, &manifest)), step: Some((&request, &step)) };
    let grants = Grants::parse("grants.toml", GRANTS).unwrap();

    let effective = effective(requests, &grants, &subject());
    assert_eq!(effective.limits.get(LimitName::Memory), Some(1 << 30));
    assert_eq!(effective.limits.get(LimitName::Pids), Some(64));
    assert_eq!(effective.limits.get(LimitName::Execute), Some(300_000));
    let lowered: Vec<_> =
        effective.lowered.iter().map(|one| (one.name, one.asked >> 30, one.rule)).collect();
    assert_eq!(
        lowered,
        [(LimitName::Memory, 4, Rule::Manifest), (LimitName::Memory, 2, Rule::Grants)]
    );
    // A grant's own limit counts instead of the file's.
    let (_, larger) = grants.of(&in_sales());
    assert_eq!(larger.get(LimitName::Memory), Some(4 << 30));
    assert_eq!(larger.get(LimitName::Pids), Some(128));
}

#[test]
fn the_lines_that_would_grant_it_do_grant_it() {
    let manifest = Manifest::parse("plugin.toml", manifest("singer.toml")).unwrap();
    let requests =
        Requests { manifest: Some((&manifest.capabilities, &manifest.limits)), step: None };
    let grants = Grants::parse("grants.toml", GRANTS).unwrap();
    let lines = grant_lines(&subject(), effective(requests, &grants, &subject()).not_granted());
    insta::assert_snapshot!(lines);

    let whole = append_grant("grants.toml", GRANTS, &lines).unwrap();
    assert!(whole.starts_with(GRANTS));
    let grants = Grants::parse("grants.toml", &whole).unwrap();
    assert!(!effective(requests, &grants, &subject()).lacks_something());

    let new = append_grant("grants.toml", "", &lines).unwrap();
    assert!(new.starts_with("grants = 1\n\n[[grant]]\n"));
    let inline = "grants = 1\ngrant = []\n";
    assert!(append_grant("grants.toml", inline, &lines).is_err());
    assert!(append_grant("grants.toml", "what is this", &lines).is_err());
}

#[test]
fn names_and_paths_cannot_break_out_of_their_line() {
    let subject = Subject {
        plugin: Some("a\"]\nexec = true #\\".to_owned()),
        pipeline: Some("p\u{7f}\u{1}".to_owned()),
        ..Subject::default()
    };
    let asked = capabilities("fs_read = ['/data/\"] #\\']");
    let lines = grant_lines(&subject, asked.iter());
    assert_eq!(lines.lines().count(), 4, "{lines}");
    let table: toml::Table = lines.parse().unwrap();
    let grant = &table["grant"][0];
    assert_eq!(grant["plugin"].as_str(), subject.plugin.as_deref());
    assert_eq!(grant["pipeline"].as_str(), subject.pipeline.as_deref());
    assert_eq!(grant["fs_read"][0].as_str(), Some("/data/\"] #\\"));
}

fn any_capabilities() -> impl Strategy<Value = String> {
    let list = |key: &'static str, items: &'static [&'static str]| {
        proptest::sample::subsequence(items, 0..=items.len())
            .prop_map(move |chosen| format!("{key} = {chosen:?}\n"))
    };
    (
        list("network", &["tcp://a:1", "https://a:1", "tcp://b:1"]),
        list("fs_read", &["/d", "/d/e", "x", "scratch"]),
        list("fs_write", &["/d", "/d/e/f", "x/y", "."]),
        list("secrets", &["s", "t"]),
        any::<bool>(),
    )
        .prop_map(|(network, read, write, secrets, exec)| {
            format!("{network}{read}{write}{secrets}exec = {exec}\n")
        })
}

proptest! {
    #[test]
    fn the_effective_set_is_never_larger_than_any_input(
        manifest in any_capabilities(),
        asked in any_capabilities(),
        stated in proptest::sample::subsequence(CapabilityKind::ALL.to_vec(), 0..=8),
        granted in any_capabilities(),
    ) {
        let grants = Grants::parse(
            "grants.toml",
            &format!("grants = 1\n[[grant]]\nplugin = \"p\"\n{granted}"),
        ).unwrap();
        let subject = Subject { plugin: Some("p".to_owned()), ..Subject::default() };
        let manifest = capabilities(&manifest);
        let stated: std::collections::BTreeSet<_> = stated.into_iter().collect();
        let asked: Capabilities = capabilities(&asked)
            .iter()
            .filter(|one| stated.contains(&one.kind()))
            .cloned()
            .collect();
        let step = CapabilityRequest { stated: stated.clone(), asked };
        let none = Limits::default();
        let requests = Requests { manifest: Some((&manifest, &none)), step: Some((&step, &none)) };

        let result = effective(requests, &grants, &subject);
        let granted = capabilities(&granted).union(&Capabilities::free());
        prop_assert!(manifest.cover_all(&result.capabilities));
        prop_assert!(granted.cover_all(&result.capabilities));
        let unspoken: Capabilities =
            manifest.iter().filter(|one| !stated.contains(&one.kind())).cloned().collect();
        prop_assert!(step.asked.union(&unspoken).cover_all(&result.capabilities));

        // Nothing is lost without a word.
        for one in manifest.iter() {
            let refused = result.refused.iter().any(|refusal| refusal.capability.meet(one).is_some());
            prop_assert!(result.capabilities.cover(one) || refused, "{one}");
        }

        // And the lines that would grant it leave nothing to be granted.
        let lines = grant_lines(&subject, result.not_granted());
        let text = append_grant("grants.toml", "grants = 1\n[[grant]]\nplugin = \"q\"\n", &lines).unwrap();
        let more = Grants::parse("grants.toml", &format!("{text}\n[[grant]]\nplugin = \"p\"\n{}", {
            let lines = grant_lines(&Subject::default(), granted.iter());
            lines.trim_start_matches("[[grant]]\n").to_owned()
        })).unwrap();
        prop_assert_eq!(effective(requests, &more, &subject).not_granted().count(), 0);
    }

    #[test]
    fn no_grants_file_panics(text in "(grants = 1\n)?(\\[\\[grant\\]\\]\n)?[a-z_]{1,8} = \\PC{0,30}") {
        let _ = Grants::parse("grants.toml", &text);
    }
}
