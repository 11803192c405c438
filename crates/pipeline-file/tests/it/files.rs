//! Finding and reading files.

use std::fs;

use flexcore_pipeline_file::{
    SecretProvider, VaultSource, find_pipeline, list_pipelines, load_pipeline, load_project,
    project_root,
};

use crate::support::CONNECTORS;

const PIPELINE: &str = "pipeline: NAME\nsteps: [{ id: a, command: { argv: [x] } }]\n";

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn pipeline(name: &str) -> String {
    PIPELINE.replace("NAME", name)
}

#[test]
fn the_project_root_is_the_nearest_folder_with_a_project_file() {
    let root = folder();
    let path = root.path().canonicalize().unwrap();
    fs::create_dir_all(path.join("a/b/c")).unwrap();
    let file = path.join("a/b/c/p.yaml");
    assert_eq!(project_root(&file), path.join("a/b/c"));
    fs::create_dir(path.join("a/.flexcore")).unwrap();
    assert_eq!(project_root(&file), path.join("a"));
    fs::write(path.join("flexcore.yaml"), "").unwrap();
    assert_eq!(project_root(&file), path);
    assert_eq!(project_root(&path), path);
}

#[test]
fn pipelines_are_found_by_name() {
    let root = folder();
    let path = root.path().canonicalize().unwrap();
    fs::create_dir_all(path.join("pipelines/deep")).unwrap();
    fs::create_dir_all(path.join(".hidden")).unwrap();
    fs::write(path.join("flexcore.yaml"), "pipelines: ['./pipelines/**/*.yaml']\n").unwrap();
    fs::write(path.join("pipelines/deep/orders.yaml"), pipeline("orders")).unwrap();
    fs::write(path.join("pipelines/broken.yaml"), "pipeline: [").unwrap();
    fs::write(path.join("other.yaml"), pipeline("elsewhere")).unwrap();
    fs::write(path.join(".hidden/x.yaml"), pipeline("hidden")).unwrap();
    let project = load_project(&path).unwrap();
    let found = find_pipeline(&project, "orders").unwrap();
    assert_eq!(found, path.join("pipelines/deep/orders.yaml"));
    let loaded = load_pipeline(&found, &project, CONNECTORS).unwrap();
    assert_eq!(loaded.definition.name.as_str(), "orders");
    assert_eq!(list_pipelines(&project).unwrap().len(), 1);
    let error = find_pipeline(&project, "order").unwrap_err().to_string();
    assert!(error.contains("did you mean `orders`?"), "{error}");
    assert!(error.contains("no pipeline could be read from pipelines/broken.yaml"), "{error}");
    fs::write(path.join("pipelines/again.yaml"), pipeline("orders")).unwrap();
    let error = find_pipeline(&project, "orders").unwrap_err().to_string();
    assert!(error.contains("pipelines/again.yaml, pipelines/deep/orders.yaml"), "{error}");
}

#[test]
fn without_globs_the_root_and_its_pipelines_folder_are_searched() {
    let root = folder();
    let path = root.path().canonicalize().unwrap();
    fs::create_dir_all(path.join("pipelines/deep")).unwrap();
    fs::create_dir_all(path.join("elsewhere")).unwrap();
    for (file, name) in [
        ("top.yaml", "top"),
        ("pipelines/deep/inner.yml", "inner"),
        ("elsewhere/other.yaml", "other"),
    ] {
        fs::write(path.join(file), pipeline(name)).unwrap();
    }
    let project = load_project(&path).unwrap();
    let names: Vec<_> =
        list_pipelines(&project).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["inner", "top"]);
}

#[test]
fn a_project_reads_its_file_and_its_variables() {
    let root = folder();
    let text = "
project: shop
env_allow: [REGION]
writable: [out/, tmp/]
secrets: [{ env: { prefix: SHOP_ } }, { file: secrets }, { env: {} }, { vault: { prefix: shop } }]
default_environment: dev
environments: { dev: {}, prod: {} }
";
    fs::write(root.path().join("flexcore.yaml"), text).unwrap();
    fs::write(root.path().join(".env"), "REGION=eu # note\n").unwrap();
    let project = load_project(root.path()).unwrap();
    assert_eq!(project.name.as_deref(), Some("shop"));
    assert_eq!(project.dotenv, [("REGION".to_owned(), "eu".to_owned())]);
    let prefix = |text: &str| SecretProvider::Environment { prefix: text.to_owned() };
    let file = SecretProvider::File { folder: "secrets".into() };
    let vault = VaultSource { prefix: Some("shop".to_owned()), ..VaultSource::default() };
    let vault = SecretProvider::Vault(vault);
    assert_eq!(project.secrets, [prefix("SHOP_"), file, prefix("FLEXCORE_SECRET_"), vault]);
    assert_eq!(project.environment(None, None).unwrap().as_str(), "dev");
    assert_eq!(project.environments.len(), 2);
}

#[test]
fn files_that_cannot_be_read_are_located_errors() {
    let root = folder();
    let project = load_project(root.path()).unwrap();
    let error = |name: &str| {
        let file = root.path().join(name);
        load_pipeline(&file, &project, CONNECTORS).map(|_| ()).unwrap_err().to_string()
    };
    assert!(error("missing.yaml").contains("there is no such file"));
    fs::create_dir(root.path().join("folder.yaml")).unwrap();
    assert!(error("folder.yaml").contains("this is a folder"));
    fs::write(root.path().join("latin.yaml"), b"pipeline: a\nowner: Jos\xe9\n").unwrap();
    assert!(error("latin.yaml").contains("not UTF-8: wrong byte in line 2"));
    let huge = fs::File::create(root.path().join("huge.yaml")).unwrap();
    huge.set_len(5 << 20).unwrap();
    assert!(error("huge.yaml").contains("at most"));
    fs::write(root.path().join(".env"), "no equals sign\n").unwrap();
    assert!(load_project(root.path()).unwrap_err().to_string().contains(".env:1:1"));
}
