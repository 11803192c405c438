//! `flexcore schema`

use clap::{Args, ValueEnum};
use flexcore_pipeline_file::schemas;

use crate::{
    Exit,
    failure::{Code, Failure},
    session::Session,
};

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub(crate) struct SchemaArguments {
    /// Of which files
    #[arg(value_enum, value_name = "KIND")]
    kind: FileKind,
}

/// Kinds of files that have a JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileKind {
    /// Pipeline files.
    Pipeline,
    /// flexcore.yaml.
    Project,
}

impl FileKind {
    /// The name under which the schema is published.
    const fn file_name(self) -> &'static str {
        match self {
            Self::Pipeline => "pipeline.schema.json",
            Self::Project => "project.schema.json",
        }
    }
}

impl SchemaArguments {
    pub(super) fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let name = self.kind.file_name();
        let schema = schemas().into_iter().find(|(known, _)| *known == name);
        let (_, schema) =
            schema.ok_or_else(|| Failure::new(Code::File, format!("there is no schema {name}")))?;
        session.output.document(&schema)?;
        Ok(Exit::Completed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_schema() {
        for kind in FileKind::value_variants() {
            assert!(schemas().iter().any(|(name, _)| *name == kind.file_name()), "{kind:?}");
        }
    }
}
