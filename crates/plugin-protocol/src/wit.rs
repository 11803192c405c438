//! The world of WebAssembly components.

/// The world that a component implements, with its version.
pub const WIT_WORLD: &str = "flexcore:plugin/plugin@0.1.0";

/// The package with that world, as `wit-bindgen`, `componentize-py` and others read it.
pub const PLUGIN_WIT: &str = include_str!("../wit/plugin.wit");

#[cfg(test)]
mod tests {
    use wit_parser::{Resolve, WorldItem};

    use super::*;

    #[test]
    fn the_world_is_the_one_that_manifests_name() {
        let mut resolve = Resolve::default();
        let package = resolve.push_source("plugin.wit", PLUGIN_WIT).unwrap();
        let world = resolve.select_world(&[package], Some("plugin")).unwrap();
        assert_eq!(resolve.id_of_name(package, "plugin"), WIT_WORLD);

        let world = &resolve.worlds[world];
        let exports: Vec<String> = world
            .exports
            .iter()
            .filter(|(_, item)| matches!(item, WorldItem::Function(_)))
            .map(|(key, _)| resolve.name_world_key(key))
            .collect();
        assert_eq!(exports, ["info", "config-schema", "validate", "execute"]);
        let imports: Vec<String> = world
            .imports
            .iter()
            .filter(|(_, item)| matches!(item, WorldItem::Interface { .. }))
            .map(|(key, _)| resolve.name_world_key(key))
            .collect();
        let expected = ["log", "state", "secrets", "http", "types"];
        assert_eq!(imports, expected.map(|name| format!("flexcore:plugin/{name}@0.1.0")));
    }

    #[test]
    fn everything_in_it_is_documented() {
        let mut resolve = Resolve::default();
        resolve.push_source("plugin.wit", PLUGIN_WIT).unwrap();
        for (_, interface) in &resolve.interfaces {
            assert!(interface.docs.contents.is_some(), "{:?}", interface.name);
            for (name, function) in &interface.functions {
                assert!(function.docs.contents.is_some(), "{name}");
            }
        }
    }
}
