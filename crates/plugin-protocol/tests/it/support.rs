//! The files that the tests share.

pub(crate) const GRANTS: &str = include_str!("../files/grants.toml");

/// A manifest of each kind.
pub(crate) const MANIFESTS: [(&str, &str); 6] = [
    ("singer.toml", include_str!("../files/manifests/singer.toml")),
    ("process.toml", include_str!("../files/manifests/process.toml")),
    ("command.toml", include_str!("../files/manifests/command.toml")),
    ("wasm-component.toml", include_str!("../files/manifests/wasm-component.toml")),
    ("wasm-extism.toml", include_str!("../files/manifests/wasm-extism.toml")),
    ("http.toml", include_str!("../files/manifests/http.toml")),
];

/// The text of a manifest.
pub(crate) fn manifest(name: &str) -> &'static str {
    MANIFESTS.iter().find(|(known, _)| *known == name).unwrap().1
}
