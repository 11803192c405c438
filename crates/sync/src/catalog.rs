//! A step's rules on its tap's catalog.
//!
//! A catalog is only asked for when a rule needs it. Without `select`, `metadata`, `schema` and a
//! choice of streams the tap runs without `--catalog` and syncs what it syncs by itself: all native
//! taps and those made with the Meltano SDK discover on their own and take everything that is
//! selected by default. A tap that does nothing without a catalog gets one by `select: ["*.*"]`.

use flexcore_ports::attempt::{SyncSettings, Unmatched};
use flexcore_singer::{
    Catalog, CatalogError, CatalogRules, CatalogStream, Glob, Json, MetadataRule, Object,
    SchemaRule, SelectPattern,
};
use serde_json::Value;

/// How many lines of a tap's output are tried as the beginning of its catalog.
const MAX_STARTS: usize = 100;

/// Why rules and catalog do not go together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogRulesError {
    /// `metadata` and `schema` are maps of maps.
    #[error("the {place} rule `{pattern}` must be a map")]
    NotAMap {
        /// `metadata` or `schema`.
        place: &'static str,
        /// The rule's pattern.
        pattern: String,
    },
    /// The output of `--discover` is no catalog.
    #[error("what it printed for `--discover` is no catalog")]
    Catalog(#[from] CatalogError),
    /// Rules that match nothing.
    #[error("{rules}; `flexcore select` shows what there is; `unmatched: warn` lets it pass")]
    Unmatched {
        /// Each of them, as a sentence.
        rules: String,
    },
    /// The rules leave nothing over.
    #[error(
        "the rules select no stream at all{hint}; `flexcore select` shows what there is; \
        `unmatched: warn` lets it pass"
    )]
    NothingSelected {
        /// The likely reason.
        hint: &'static str,
    },
}

/// Whether a step has rules that need the tap's catalog.
pub(crate) fn needs_catalog(settings: &SyncSettings) -> bool {
    !(settings.select.is_empty()
        && settings.metadata.is_empty()
        && settings.schema.is_empty()
        && settings.only_streams.is_empty())
}

/// Applies the step's rules to what discovery printed; the second part is what to warn of.
pub(crate) fn ruled_catalog(
    discovered: &[u8],
    settings: &SyncSettings,
) -> Result<(Catalog, Vec<String>), CatalogRulesError> {
    let mut catalog = parse(discovered)?;
    let unmatched = catalog.apply(&rules(settings)?);
    let mut problems = Vec::new();
    if !unmatched.is_empty() {
        let rules: Vec<String> = unmatched.iter().map(ToString::to_string).collect();
        problems.push(CatalogRulesError::Unmatched { rules: rules.join("; ") });
    }
    if needs_catalog(settings) && !catalog.streams.iter().any(CatalogStream::is_selected) {
        problems.push(CatalogRulesError::NothingSelected { hint: nothing_hint(settings) });
    }
    match settings.unmatched {
        Unmatched::Fail => problems.into_iter().next().map_or(Ok((catalog, Vec::new())), Err),
        Unmatched::Warn => Ok((catalog, problems.iter().map(ToString::to_string).collect())),
    }
}

fn nothing_hint(settings: &SyncSettings) -> &'static str {
    let only_excludes = settings.select.iter().all(|pattern| pattern.starts_with('!'));
    if only_excludes && !settings.select.is_empty() {
        ": `!` patterns only take away from what others choose, so put \"*.*\" before them"
    } else {
        ""
    }
}

/// The catalog in a tap's output. Some taps print log lines around it.
fn parse(discovered: &[u8]) -> Result<Catalog, CatalogError> {
    let text = String::from_utf8_lossy(discovered);
    let error = match Catalog::parse(&text) {
        Ok(catalog) => return Ok(catalog),
        Err(error) => error,
    };
    let end = text.rfind('}').map_or(0, |brace| brace + 1);
    let line_starts = text.match_indices('\n').map(|(newline, _)| newline + 1);
    std::iter::once(0)
        .chain(line_starts)
        .take_while(|start| *start < end)
        .filter(|start| text[*start..].starts_with('{'))
        .take(MAX_STARTS)
        .find_map(|start| Catalog::parse(&text[start..end]).ok())
        .ok_or(error)
}

fn rules(settings: &SyncSettings) -> Result<CatalogRules, CatalogRulesError> {
    let metadata = maps("metadata", &settings.metadata)?;
    let schema = maps("schema", &settings.schema)?;
    Ok(CatalogRules {
        select: settings.select.iter().map(|pattern| SelectPattern::parse(pattern)).collect(),
        metadata: metadata.into_iter().map(|(at, keys)| MetadataRule::new(at, keys)).collect(),
        schema: schema.into_iter().map(|(at, fields)| SchemaRule::new(at, fields)).collect(),
        only_streams: settings.only_streams.iter().map(|stream| Glob::new(stream)).collect(),
    })
}

fn maps<'a>(
    place: &'static str,
    rules: &'a [(String, Value)],
) -> Result<Vec<(&'a str, Object)>, CatalogRulesError> {
    let map = |(pattern, value): &'a (String, Value)| match Json::parse_object(&value.to_string()) {
        Ok(object) => Ok((pattern.as_str(), object)),
        Err(_) => Err(CatalogRulesError::NotAMap { place, pattern: pattern.clone() }),
    };
    rules.iter().map(map).collect()
}

#[cfg(test)]
mod tests;
