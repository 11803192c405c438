//! The pipeline and project files: their types, parser, diagnostics, merge rules, templates and
//! JSON Schemas.
//!
//! A file goes through five stages, each a module:
//!
//! 1. [`load_project`], [`load_pipeline`]: files to texts. Nothing else here does I/O.
//! 2. [`parse_pipeline`]: text to a tree with positions, held against the schema of the
//!    [`language`], then against what a schema cannot say. Everything that is wrong comes back as
//!    [`Diagnostics`], each with code, file, line, column, caret and hint.
//! 3. A file without mistakes becomes a domain `PipelineDefinition`. Its `document` is
//!    self-contained JSON: the file and what it uses of the project, templates unrendered.
//! 4. [`resolve`]: document and environment to [`ResolvedPipeline`], in which every value of every
//!    step's merged [`Settings`] knows its [`Origin`].
//! 5. [`Parameters::bind`] when an execution is created, [`ResolvedStep::evaluate_when`] when a
//!    step is decided, [`ResolvedStep::render`] when it starts: templates to values.
//!
//! ```
//! use std::{collections::BTreeMap, path::PathBuf};
//! use flexcore_pipeline_file::{
//!     CommandProgram, Project, RenderedWork, RunScope, Scope, SourceFile, parse_pipeline, resolve,
//! };
//!
//! let text = "pipeline: hello\nsteps:\n  - { id: say, command: { argv: [echo, \"{{ run.id }}\"] } }\n";
//! let project = Project::empty(PathBuf::from("."));
//! let loaded = parse_pipeline(SourceFile::new("hello.yaml", text), &project, &[])?;
//!
//! let resolved = resolve(&loaded.definition.document, &project.environment(None, None)?)?;
//! let scope = Scope {
//!     params: resolved.parameters.bind(&BTreeMap::new(), &Scope::before(&RunScope::default()))?,
//!     run: RunScope { id: "ex_1".into(), ..RunScope::default() },
//!     ..Scope::before(&RunScope::default())
//! };
//! let rendered = resolved.steps[0].render(&scope)?;
//! let RenderedWork::Command(command) = rendered.work else { unreachable!() };
//! assert_eq!(command.program, CommandProgram::Argv(vec!["echo".into(), "ex_1".into()]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What this crate must not know
//!
//! Events, stores, processes, the bus, and where secret values come from: [`Scope`] asks for them.
//! It reads no clock and no environment variables, so that the same texts and the same scope give
//! the same result.
//!
//! # How to add a key
//!
//! Add a documented field to its type in [`language`], run the tests to renew the schemas in
//! `schemas/` (`UPDATE_SCHEMAS=1`), and use the value: settings below a kind key in `settings`,
//! what decides the order of steps in `definition`. A rule that a schema cannot express goes into
//! `check`, with a code in `diagnostic` and a page in `docs/errors`. A key whose feature is not
//! there yet carries `x-not-supported`.

mod check;
mod definition;
mod diagnostic;
mod document;
mod dotenv;
mod expression;
mod file;
pub mod language;
mod layers;
mod load;
mod nearest;
mod package;
mod parameters;
mod pipeline;
mod project;
mod render;
mod request;
mod resolve;
mod retention;
mod schema;
mod scope;
mod settings;
mod shape;
mod source;
mod tree;
mod units;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use document::{DocumentError, same_definition};
pub use layers::{Layer, Origin, Settings, SettingsEntry};
pub use load::{find_pipeline, list_pipelines, load_pipeline, load_project, project_root};
pub use package::ProjectPackage;
pub use parameters::{ParameterError, ParameterInfo, ParameterInput, Parameters};
pub use pipeline::{LoadedPipeline, Positions, parse_pipeline};
pub use project::{PROJECT_FILE, Project, SandboxWish, SecretProvider, VaultSource};
pub use render::{RenderError, TemplateError};
pub use request::{RequestError, StepRequest};
pub use resolve::{ResolvedPipeline, ResolvedStep, definition_of, resolve};
pub use retention::{RetentionPeriods, retention_of};
pub use schema::schemas;
pub use scope::{RunScope, Scope, StepScope};
pub use settings::{
    CommandProgram, CommandSettings, FullRefresh, PluginCallSettings, PluginProgram,
    PluginSettings, RenderedStep, RenderedWork, SettingsError, Shell, SyncSettings, Unmatched,
};
pub use source::{Position, SourceFile};
pub use units::{parse_duration, parse_size};
