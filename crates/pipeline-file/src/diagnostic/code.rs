//! The stable codes of diagnostics. A code is never reused; its page is in `docs/errors`.

/// The kind of mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// The text is neither YAML nor JSON.
    Malformed,
    /// A map has the same key twice.
    DuplicateKey,
    /// A key that the language does not have.
    UnknownKey,
    /// A value of another type than the key takes.
    WrongType,
    /// A key that must be there is not.
    MissingKey,
    /// A value of the right type that is not legal.
    IllegalValue,
    /// A file for a newer version of the language.
    NewerLanguage,
    /// Part of the language that this version cannot run yet.
    NotSupported,
    /// A step with no kind key or with several.
    StepKind,
    /// A plugin that neither the project nor the binary has.
    UnknownPlugin,
    /// Plugins that inherit from each other in a ring.
    InheritanceCycle,
    /// A template or expression that does not parse.
    TemplateSyntax,
    /// A name in a template or expression that does not exist.
    UnknownName,
    /// A secret where it would be seen.
    ExposedSecret,
    /// A parameter whose declaration or default is wrong.
    Parameter,
    /// A condition that cannot be true or false.
    Condition,
    /// An environment that does not exist, or that changes what it must not.
    Environment,
    /// A file that cannot be read.
    Unreadable,
    /// No pipeline, or several, of that name.
    PipelineLookup,
    /// Steps that break a rule of the graph.
    StepGraph,
    /// Accepted, but without effect in this version.
    NotEnforced,
}

impl Code {
    /// Its stable text.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "FC0101",
            Self::DuplicateKey => "FC0102",
            Self::UnknownKey => "FC0103",
            Self::WrongType => "FC0104",
            Self::MissingKey => "FC0105",
            Self::IllegalValue => "FC0106",
            Self::NewerLanguage => "FC0107",
            Self::NotSupported => "FC0108",
            Self::StepKind => "FC0109",
            Self::UnknownPlugin => "FC0110",
            Self::InheritanceCycle => "FC0111",
            Self::TemplateSyntax => "FC0112",
            Self::UnknownName => "FC0113",
            Self::ExposedSecret => "FC0114",
            Self::Parameter => "FC0115",
            Self::Condition => "FC0116",
            Self::Environment => "FC0117",
            Self::Unreadable => "FC0118",
            Self::PipelineLookup => "FC0119",
            Self::StepGraph => "FC0120",
            Self::NotEnforced => "FC0121",
        }
    }
}
