//! `flexcore select`

use clap::Args;

use super::{
    catalog::{discover, sync_step},
    run::parameter,
};
use crate::{
    Exit,
    address::FullAddress,
    failure::{Code, Failure},
    report::CatalogReport,
    session::Session,
    text::catalog_text,
};

/// Arguments of `select`.
#[derive(Debug, Args)]
pub(crate) struct SelectArguments {
    /// The sync: the pipeline's name or file, and the step
    #[arg(value_name = "PIPELINE/STEP")]
    sync: String,
    /// Also what is not selected
    #[arg(long)]
    all: bool,
    /// A parameter, as for run; may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    params: Vec<(String, String)>,
}

impl SelectArguments {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let (pipeline, step) = split(&self.sync)?;
        let pipeline = session.pipeline(&pipeline)?;
        let resolved = pipeline.resolve()?;
        let step = sync_step(&resolved, &step)?;
        let params = self.params.into_iter().collect();
        let streams = discover(session, &pipeline.located.place, &resolved, step, &params).await?;
        let report = CatalogReport {
            pipeline: resolved.name.to_string(),
            step: step.id.to_string(),
            streams,
        };
        session.output.result(&report, |report, style| catalog_text(report, self.all, style))?;
        Ok(Exit::Completed)
    }
}

/// The pipeline and the step. The pipeline may be the path of a file, whose parts are separated by
/// slashes, too: the step is what follows the last one.
fn split(text: &str) -> Result<(String, String), Failure> {
    if let Ok(FullAddress { pipeline, sync }) = text.parse()
        && sync.item.is_none()
        && sync.stream.is_none()
    {
        return Ok((pipeline, sync.step));
    }
    match text.rsplit_once('/') {
        Some((file, step)) if !file.is_empty() && !step.is_empty() => {
            Ok((file.to_owned(), step.to_owned()))
        }
        _ => Err(Failure::new(Code::Usage, format!("`{text}` names no sync"))
            .hint("write PIPELINE/STEP, for example flights/load")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_is_named_by_pipeline_or_file() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(split("flights/load").unwrap(), pair("flights", "load"));
        assert_eq!(split("flights.yaml/load").unwrap(), pair("flights.yaml", "load"));
        assert_eq!(split("a/b/flights.yaml/load").unwrap(), pair("a/b/flights.yaml", "load"));
        assert_eq!(split("/a/flights.yaml/load").unwrap(), pair("/a/flights.yaml", "load"));
        assert_eq!(split("flights").unwrap_err().exit(), Exit::Usage);
    }
}
