//! A file of the language that was parsed and held against its schema.

use serde_json::Value;

use crate::{
    diagnostic::{Code, Diagnostic},
    shape::{Shaped, shape},
    source::{Position, SourceFile},
    tree::{Node, NodeKind, parse},
};

/// The version of the language that this binary reads.
const LANGUAGE: u64 = 1;

/// A parsed file.
#[derive(Debug)]
pub(crate) struct ParsedFile {
    pub(crate) source: SourceFile,
    pub(crate) node: Node,
    pub(crate) shaped: Shaped,
}

impl ParsedFile {
    /// Parses a text and holds it against a schema; `whole` says what it is, such as
    /// `a pipeline file`.
    ///
    /// # Errors
    /// One diagnostic if the text is no map, or is written for a newer version. Mistakes of shape
    /// are in [`Shaped::diagnostics`], so that other checks can add theirs.
    pub(crate) fn read(
        source: SourceFile,
        schema: &Value,
        whole: &str,
    ) -> Result<Self, Diagnostic> {
        let node = parse(&source)?;
        if !matches!(node.kind, NodeKind::Map(_)) {
            let what = if node.is_null() {
                "is empty".to_owned()
            } else {
                format!("is {}", node.describe())
            };
            let message = format!("{whole} is a map of keys; this one {what}");
            return Err(Diagnostic::at(Code::WrongType, &source, node.position, message));
        }
        check_language(&source, &node)?;
        let shaped = shape(&source, &node, schema, whole);
        Ok(Self { source, node, shaped })
    }

    /// A diagnostic at a place of this file.
    pub(crate) fn at(
        &self,
        code: Code,
        position: Position,
        message: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::at(code, &self.source, position, message)
    }
}

fn check_language(source: &SourceFile, node: &Node) -> Result<(), Diagnostic> {
    let Some(version) = node.get("flexcore").filter(|version| !version.is_null()) else {
        return Ok(());
    };
    let number = match &version.kind {
        NodeKind::Number(number, _) => number.as_u64(),
        _ => None,
    };
    match number {
        Some(LANGUAGE) => Ok(()),
        Some(newer) if newer > LANGUAGE => {
            let message = format!(
                "this file is written for version {newer} of the language; this FlexCore reads \
                 version {LANGUAGE}"
            );
            Err(Diagnostic::at(Code::NewerLanguage, source, version.position, message)
                .hint("install a newer FlexCore"))
        }
        _ => {
            let message = format!("`flexcore` takes the version of the language, {LANGUAGE}");
            Err(Diagnostic::at(Code::IllegalValue, source, version.position, message))
        }
    }
}
