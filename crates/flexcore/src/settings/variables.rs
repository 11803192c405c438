//! The names of settings in the environment.

/// What the variables of FlexCore begin with.
const PREFIX: &str = "FLEXCORE_";

/// Sections that a variable does not name, because what is in them needs no explanation.
const UNNAMED: [&str; 3] = ["server.", "telemetry.", "secrets."];

/// Settings whose variables are called otherwise than the rule has it: by their usual names.
const SPECIAL: [(&str, &str); 9] = [
    ("store.database_url", "FLEXCORE_DATABASE_URL"),
    ("telemetry.metrics", "FLEXCORE_METRICS_ENABLED"),
    ("telemetry.tracing", "FLEXCORE_TRACING_ENABLED"),
    ("telemetry.traces", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ("telemetry.protocol", "OTEL_EXPORTER_OTLP_PROTOCOL"),
    ("telemetry.service_name", "OTEL_SERVICE_NAME"),
    ("telemetry.sample_ratio", "OTEL_TRACES_SAMPLER_ARG"),
    ("telemetry.log_format", "FLEXCORE_LOG_FORMAT"),
    ("telemetry.log_level", "FLEXCORE_LOG_LEVEL"),
];

/// Variables of FlexCore that are no settings of a server: what verbs, runs and programs of steps
/// are told.
const OTHERS: [&str; 34] = [
    "FLEXCORE_API_KEY",
    "FLEXCORE_API_KEY_FILE",
    "FLEXCORE_ATTEMPT",
    "FLEXCORE_CHECKPOINT_EVERY",
    "FLEXCORE_CHECKPOINT_KEY",
    "FLEXCORE_CHECKPOINT_TO",
    "FLEXCORE_CLIENT_CERTIFICATE",
    "FLEXCORE_CLIENT_KEY",
    "FLEXCORE_COMMITTED_STATE",
    "FLEXCORE_CONFIG",
    "FLEXCORE_CQRS_ENABLED",
    "FLEXCORE_ENVIRONMENT",
    "FLEXCORE_EPOCH",
    "FLEXCORE_EVENT_STORE_ENABLED",
    "FLEXCORE_EXECUTION",
    "FLEXCORE_GRANTS",
    "FLEXCORE_HTTP_AUTHORITIES",
    "FLEXCORE_IDEMPOTENCY_KEY",
    "FLEXCORE_LEASE_TTL",
    "FLEXCORE_OUTPUT",
    "FLEXCORE_PIPELINE",
    "FLEXCORE_PLUGIN",
    "FLEXCORE_PLUGIN_PATH",
    "FLEXCORE_PLUGIN_PROTOCOL_DESCRIPTORS",
    "FLEXCORE_PYTHON",
    "FLEXCORE_SANDBOX",
    "FLEXCORE_SECRET_FDS",
    "FLEXCORE_SERVER",
    "FLEXCORE_SERVER_CA",
    "FLEXCORE_SIGNED_PLUGINS",
    "FLEXCORE_STEP",
    "FLEXCORE_STORE",
    "FLEXCORE_WASM_IN_PROCESS",
    "FLEXCORE_WORK",
];

/// What begins the names of secrets in the environment.
const SECRETS: &str = "FLEXCORE_SECRET_";

/// The variable of a setting.
pub(super) fn variable_of(key: &str) -> String {
    if let Some((_, name)) = SPECIAL.iter().find(|(special, _)| *special == key) {
        return (*name).to_owned();
    }
    let short = UNNAMED.iter().find_map(|section| key.strip_prefix(section)).unwrap_or(key);
    format!("{PREFIX}{}", short.replace('.', "_").to_ascii_uppercase())
}

/// Whether a variable is FlexCore's by its name.
pub(super) fn is_ours(variable: &str) -> bool {
    variable.starts_with(PREFIX)
}

/// Whether a variable is known that is no setting.
pub(super) fn is_other(variable: &str) -> bool {
    OTHERS.contains(&variable) || variable.starts_with(SECRETS)
}

/// Every name that is known besides those of settings.
pub(super) fn others() -> impl Iterator<Item = &'static str> {
    OTHERS.into_iter()
}
