//! Whether what was collected is a plugin, and is what it says it is.

use std::path::Path;

use flexcore_plugin_protocol::{
    ContentListing, ContentPath, LISTING_FILE, MANIFEST_FILE, Manifest, PluginKind, Signed,
    TrustedKey,
};
use serde_json::Value;

use crate::{
    error::StoreError,
    folder::bad_link,
    keys,
    tree::{Staging, StagingError},
};

/// The largest manifest, schema or signature that is read.
const MAX_TEXT: u64 = 1 << 20;
/// A listing may have a line for each of a hundred thousand files.
const MAX_LISTING: u64 = 128 << 20;

/// What a plugin is, once everything about it was held against its files.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    pub(crate) manifest: Manifest,
    pub(crate) listing: ContentListing,
    pub(crate) signed_by: Option<String>,
}

/// Texts of a plugin by their path, wherever it lies.
pub(crate) trait Texts {
    fn text(&self, path: &ContentPath, limit: u64) -> std::io::Result<String>;
}

impl Texts for Staging {
    fn text(&self, path: &ContentPath, limit: u64) -> std::io::Result<String> {
        Staging::text(self, path, limit)
    }
}

/// Verifies what was collected from `source`.
pub(crate) fn verify(
    source: &Path,
    staging: &Staging,
    keys: &[TrustedKey],
) -> Result<Verified, StoreError> {
    let manifest_path = path(MANIFEST_FILE)?;
    if !staging.holds(&manifest_path) {
        return Err(StoreError::NoManifest { path: source.to_owned() });
    }
    let shown = source.join(MANIFEST_FILE);
    let (manifest, _) = read_manifest(staging, &shown)?;
    let signature = manifest.artifact.as_ref().and_then(|artifact| artifact.signature.clone());
    let found = staging.listing(signature.as_ref()).map_err(|error| match error {
        StagingError::Link(link) => bad_link(source, &link),
        StagingError::Read(error) | StagingError::Write(error) => StoreError::source(source, error),
        StagingError::Length => StoreError::source(source, "a file changed"),
    })?;
    let listing = listed(source, staging, &found)?;
    listing
        .check(&found, manifest.artifact.as_ref())
        .map_err(|error| StoreError::Content { path: source.to_owned(), error })?;
    check_entrypoint(&manifest, staging)?;
    read_schema(&manifest, staging)?;
    let signed_by = signed_by(&manifest, &listing, staging, keys, source)?;
    Ok(Verified { manifest, listing, signed_by })
}

pub(crate) fn read_manifest(
    texts: &dyn Texts,
    shown: &Path,
) -> Result<(Manifest, String), StoreError> {
    let text = texts.text(&path(MANIFEST_FILE)?, MAX_TEXT);
    let text = text.map_err(|error| StoreError::source(shown, error))?;
    let manifest = Manifest::parse(&shown.display().to_string(), &text);
    Ok((manifest.map_err(StoreError::Manifest)?, text))
}

/// The listing that the plugin brings, or that of what was found.
fn listed(
    source: &Path,
    staging: &Staging,
    found: &ContentListing,
) -> Result<ContentListing, StoreError> {
    let at = path(LISTING_FILE)?;
    if !staging.holds(&at) {
        return Ok(found.clone());
    }
    let text = staging.text(&at, MAX_LISTING);
    let text = text.map_err(|error| StoreError::source(source.join(LISTING_FILE), error))?;
    ContentListing::parse(&text)
        .map_err(|error| StoreError::Listing { path: source.to_owned(), error })
}

/// A program that the manifest names and nobody brought is found out here rather than at midnight.
fn check_entrypoint(manifest: &Manifest, staging: &Staging) -> Result<(), StoreError> {
    let Some(program) = manifest.entrypoint.first().filter(|program| !program.starts_with('/'))
    else {
        return Ok(());
    };
    let incomplete =
        |problem: String| StoreError::Incomplete { name: manifest.name.clone(), problem };
    let at = path(program)?;
    if !staging.holds(&at) {
        return Err(incomplete(format!(
            "its entrypoint `{program}` is none of its files; build it, or correct `entrypoint`"
        )));
    }
    let is_code = matches!(manifest.kind, PluginKind::WasmComponent | PluginKind::WasmExtism);
    if !is_code && !staging.is_executable(&at) {
        return Err(incomplete(format!(
            "its entrypoint `{program}` cannot be executed; `chmod +x` it"
        )));
    }
    Ok(())
}

/// The JSON Schema of the settings, if the manifest names one.
pub(crate) fn read_schema(
    manifest: &Manifest,
    texts: &dyn Texts,
) -> Result<Option<Value>, StoreError> {
    let Some(at) = &manifest.config_schema else { return Ok(None) };
    let incomplete = |problem: String| StoreError::Incomplete {
        name: manifest.name.clone(),
        problem: format!("the schema of its settings, `{at}`, {problem}"),
    };
    let text =
        texts.text(at, MAX_TEXT).map_err(|error| incomplete(format!("cannot be read: {error}")))?;
    let schema: Value =
        serde_json::from_str(&text).map_err(|error| incomplete(format!("is not JSON: {error}")))?;
    if schema.is_object() || schema.is_boolean() {
        Ok(Some(schema))
    } else {
        Err(incomplete("is no JSON Schema, which is an object".to_owned()))
    }
}

pub(crate) fn signed_by(
    manifest: &Manifest,
    listing: &ContentListing,
    texts: &dyn Texts,
    keys: &[TrustedKey],
    shown: &Path,
) -> Result<Option<String>, StoreError> {
    let Some(at) = manifest.artifact.as_ref().and_then(|artifact| artifact.signature.as_ref())
    else {
        return Ok(None);
    };
    let text = texts.text(at, MAX_TEXT);
    let text = text.map_err(|error| StoreError::source(shown.join(at.as_str()), error))?;
    let signed = Signed { name: &manifest.name, version: &manifest.version, listing };
    keys::signer(keys, &text, signed)
        .map_err(|error| StoreError::Signature { path: shown.join(at.as_str()), error })
}

/// A path that is a name in this program, or was checked with the manifest.
pub(crate) fn path(text: &str) -> Result<ContentPath, StoreError> {
    ContentPath::parse(text).map_err(|error| StoreError::source(text, error))
}
