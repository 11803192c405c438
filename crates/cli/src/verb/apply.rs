//! `flexcore apply`

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use clap::Args;
use flexcore_api::{
    ActivatePipeline, ArchivePipeline, CreatePipeline, GetPipeline, ListPipelines, PipelineSummary,
    UpdatePipeline,
};
use flexcore_pipeline_file::{LoadedPipeline, list_pipelines, same_definition};

use crate::{
    Exit, Place,
    failure::Failure,
    report::{AppliedPipeline, ApplyReport},
    server::Source,
    session::Session,
    text::apply_text,
};

const PURPOSE: &str = "applying pipelines";

/// The most pipelines that one page of a list has.
const PAGE: usize = 200;

/// Arguments of `apply`.
#[derive(Debug, Args)]
pub(crate) struct ApplyArguments {
    /// Pipelines, each by its file or its name; all of the project unless given
    #[arg(value_name = "FILE|NAME")]
    pipelines: Vec<String>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Archive the pipelines of the store that no file of the project defines any more
    #[arg(long, conflicts_with = "pipelines")]
    prune: bool,
}

/// A pipeline as its file has it.
struct Wanted {
    file: PathBuf,
    pipeline: LoadedPipeline,
}

impl ApplyArguments {
    /// All files are read and checked before anything is changed.
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let place = session.here()?.place;
        let wanted = self.wanted(session, &place)?;
        let reader = session.source_if_there(&place).await?;
        let known = match &reader {
            Some(reader) => known(session, reader).await?,
            None => BTreeMap::new(),
        };
        let mut pipelines = Vec::new();
        for one in &wanted {
            let name = one.pipeline.definition.name.as_str();
            let present = known.get(name);
            pipelines.push(self.apply(session, (&place, reader.as_ref()), one, present).await?);
        }
        if self.prune {
            let names: BTreeSet<&str> =
                wanted.iter().map(|one| one.pipeline.definition.name.as_str()).collect();
            let gone = known.values().filter(|row| !names.contains(row.name.as_str()));
            for row in gone {
                pipelines.push(self.archive(session, &place, row).await?);
            }
        }
        pipelines.sort_by(|a, b| a.pipeline.cmp(&b.pipeline));
        let report = ApplyReport { dry_run: self.dry_run, pipelines };
        session.output.result(&report, apply_text)?;
        Ok(Exit::Completed)
    }

    fn wanted(&self, session: &Session<'_>, place: &Place) -> Result<Vec<Wanted>, Failure> {
        if !self.pipelines.is_empty() {
            let one = |name: &String| {
                let located = session.pipeline(name)?;
                Ok(Wanted { file: located.file, pipeline: located.pipeline })
            };
            return self.pipelines.iter().map(one).collect();
        }
        let files = list_pipelines(&place.project)?;
        let one = |(_, file): (String, PathBuf)| {
            let pipeline = session.load(&file, &place.project)?;
            for warning in &pipeline.warnings {
                session.output.note(&warning.to_string());
            }
            Ok(Wanted { file, pipeline })
        };
        files.into_iter().map(one).collect()
    }

    async fn apply(
        &self,
        session: &Session<'_>,
        (place, reader): (&Place, Option<&Source>),
        wanted: &Wanted,
        present: Option<&PipelineSummary>,
    ) -> Result<AppliedPipeline, Failure> {
        let definition = &wanted.pipeline.definition;
        let name = definition.name.to_string();
        let document = definition.document.clone();
        let mut applied = AppliedPipeline {
            pipeline: name.clone(),
            file: Some(shown(&wanted.file, place)),
            definition: "unchanged",
            activated: present.is_none_or(|row| row.status != "active"),
            version: present.map(|row| row.version),
        };
        let mut expected_version = None;
        if let (Some(_), Some(reader)) = (present, reader) {
            let query = GetPipeline { name: name.clone(), version: None };
            let view = session.ask(reader, query).await?;
            expected_version = Some(view.aggregate_version);
            if !same_definition(&view.document, &document) {
                applied.definition = "updated";
                applied.version = Some(view.version + 1);
                if !self.dry_run {
                    let update = UpdatePipeline { name: name.clone(), document, expected_version };
                    let saved = session.command(place, update, PURPOSE).await?;
                    expected_version = Some(saved.aggregate_version);
                    applied.version = Some(saved.version);
                }
            }
        } else {
            applied.definition = "created";
            if !self.dry_run {
                let create = CreatePipeline { document, idempotency_key: None };
                let saved = session.command(place, create, PURPOSE).await?;
                expected_version = Some(saved.aggregate_version);
                applied.version = Some(saved.version);
            }
        }
        if applied.activated && !self.dry_run {
            let activate = ActivatePipeline { name, expected_version };
            session.command(place, activate, PURPOSE).await?;
        }
        Ok(applied)
    }

    async fn archive(
        &self,
        session: &Session<'_>,
        place: &Place,
        row: &PipelineSummary,
    ) -> Result<AppliedPipeline, Failure> {
        if !self.dry_run {
            let archive = ArchivePipeline { name: row.id.clone(), expected_version: None };
            session.command(place, archive, PURPOSE).await?;
        }
        Ok(AppliedPipeline {
            pipeline: row.name.clone(),
            file: None,
            definition: "archived",
            activated: false,
            version: Some(row.version),
        })
    }
}

/// The pipelines of a store that are not archived, by name.
async fn known(
    session: &Session<'_>,
    reader: &Source,
) -> Result<BTreeMap<String, PipelineSummary>, Failure> {
    let statuses = ["draft", "active", "inactive"].map(str::to_owned);
    let (mut known, mut after) = (BTreeMap::new(), None);
    loop {
        let query = ListPipelines {
            statuses: statuses.to_vec(),
            limit: PAGE,
            after,
            ..ListPipelines::default()
        };
        let page = session.ask(reader, query).await?;
        known.extend(page.items.into_iter().map(|row| (row.name.clone(), row)));
        after = page.next;
        if after.is_none() {
            return Ok(known);
        }
    }
}

/// A file as people see it: from the project on, if it lies there.
fn shown(file: &Path, place: &Place) -> String {
    file.strip_prefix(&place.project.root).unwrap_or(file).display().to_string()
}
