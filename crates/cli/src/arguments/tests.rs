use clap::CommandFactory as _;

use super::*;
use crate::{
    output::tests::captured,
    verb::{OnUnfinished, PluginVerb, Verb},
};

fn arguments(line: &str) -> Vec<OsString> {
    ["flexcore"].into_iter().chain(line.split_whitespace()).map(OsString::from).collect()
}

fn parsed(line: &str) -> Cli {
    Cli::try_parse_from(arguments(line)).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn refused(line: &str) -> String {
    Cli::try_parse_from(arguments(line)).expect_err(line).to_string()
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn run_takes_everything_that_the_language_of_the_command_line_has() {
    let line = "run flights.yaml -e prod --param a=1 --param b=x=y --from load --stream s1 \
                --stream s2 --full-refresh=load:s1 --full-refresh=other --on-unfinished resume \
                --run-id nightly --output json --store state";
    let Cli { options, verb: Verb::Run(run) } = parsed(line) else { panic!("run") };
    assert_eq!(options.environment.as_deref(), Some("prod"));
    assert_eq!(options.store.as_ref().map(StoreText::as_str), Some("state"));
    assert_eq!(options.output, Format::Json);
    assert_eq!(run.pipeline, "flights.yaml");
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(run.params, [pair("a", "1"), pair("b", "x=y")]);
    assert_eq!((run.only, run.from.as_deref()), (None, Some("load")));
    assert_eq!(run.streams, ["s1", "s2"]);
    assert_eq!(run.full_refresh, ["load:s1", "other"]);
    assert_eq!(run.on_unfinished, Some(OnUnfinished::Resume));
    assert_eq!(run.run_id.as_deref(), Some("nightly"));
    assert!(!run.resume);
}

#[test]
fn a_full_refresh_needs_no_value_and_takes_none_of_the_next_argument() {
    let Verb::Run(run) = parsed("run --full-refresh flights").verb else { panic!("run") };
    assert_eq!(
        (run.full_refresh.as_slice(), run.pipeline.as_str()),
        (&[String::new()][..], "flights")
    );
}

#[test]
fn options_of_every_verb_stand_before_or_after_it() {
    for line in [
        "--output json execution list",
        "execution --output json list",
        "execution list --output json",
    ] {
        assert_eq!(parsed(line).options.output, Format::Json, "{line}");
    }
}

#[test]
fn what_excludes_each_other_is_refused() {
    for line in [
        "run x --only a --from b",
        "run x --resume --run-id k",
        "run x --resume --on-unfinished refuse",
        "run x --quiet --verbose",
        "logs --failed --follow",
    ] {
        assert!(refused(line).contains("cannot be used with"), "{line}");
    }
}

#[test]
fn every_verb_of_the_language_is_there() {
    for line in [
        "run flights",
        "run flights --only load --resume",
        "validate",
        "validate a.yaml b.yaml",
        "plan flights --mermaid",
        "plan flights --offline --param a=1",
        "logs",
        "logs ex_1 -f --step load",
        "logs last --failed",
        "pipeline list --tag x --limit 5",
        "pipeline show flights --version 2",
        "execution list --status failed --pipeline flights",
        "execution show",
        "execution cancel ex_1 --reason wrong",
        "execution retry last",
        "select flights/load --all",
        "bookmark show flights",
        "bookmark show flights/load@eu/orders",
        "bookmark diff flights/load",
        "bookmark set flights/load {}",
        "bookmark reset flights/load/orders",
        "bookmark keep flights/load",
        "bookmark export flights/load",
        "bookmark export flights/load state.json",
        "bookmark import flights/load -",
        "events read --stream default/execution/ex_1 --type StepStarted --after 5 --limit 10",
        "events tail -n 5",
        "events verify",
        "events stats",
        "plugin list",
        "plugin run tap-csv -- --config c.json --discover",
        "init",
        "init project",
        "completions bash",
        "schema pipeline",
        "schema project",
    ] {
        parsed(line);
    }
}

#[test]
fn a_connector_gets_its_arguments_as_they_are() {
    let line = "plugin run tap-csv -- --config c.json --output json -v --help";
    let Verb::Plugin(PluginVerb::Run { name, arguments }) = parsed(line).verb else {
        panic!("plugin run")
    };
    assert_eq!(name, "tap-csv");
    assert_eq!(arguments, ["--config", "c.json", "--output", "json", "-v", "--help"]);
}

#[test]
fn the_log_level_follows_quiet_and_verbose() {
    let levels = ["-q ", "", "-v ", "-vv ", "-vvv "].map(|flags| {
        let cli = parsed(&format!("{flags}plugin list"));
        cli.log_level()
    });
    assert_eq!(levels, ["error", "warn", "info", "debug", "trace"]);
}

#[test]
fn help_is_a_result_and_ends_well() {
    let (mut terminal, results, messages) = captured("");
    let exit = show(
        &Cli::try_parse_from(arguments("--help")).unwrap_err(),
        &arguments("--help"),
        &mut terminal,
    );
    assert_eq!(exit, Exit::Completed);
    assert!(results.text().contains(exit::HELP));
    assert_eq!(messages.text(), "");
}

#[test]
fn wrong_arguments_are_told_as_text_or_json() {
    let tell = |line: &str| {
        let (mut terminal, results, messages) = captured("");
        let error = Cli::try_parse_from(arguments(line)).unwrap_err();
        assert_eq!(show(&error, &arguments(line), &mut terminal), Exit::Usage);
        assert_eq!(results.text(), "");
        messages.text()
    };
    assert!(tell("run x --parm a=1").contains("--param"));
    for line in ["run x --parm a=1 --output json", "--output=json run x --parm a=1"] {
        let body: ErrorBody = serde_json::from_str(&tell(line)).unwrap();
        assert_eq!(body.code, "FC0501");
        assert!(body.message.contains("--parm"), "{}", body.message);
    }
}

#[test]
fn the_help_of_run_is_as_documented() {
    let mut command = Cli::command();
    command.build();
    let help = command.find_subcommand_mut("run").unwrap().render_help().to_string();
    insta::assert_snapshot!(help);
}

#[test]
fn a_server_stands_instead_of_a_store_and_a_key_is_not_shown() {
    let options =
        parsed("execution list --server https://x.example --api-key flx_1_geheim").options;
    assert_eq!(options.server.server.as_deref(), Some("https://x.example"));
    assert!(!format!("{options:?}").contains("geheim"));
    assert!(refused("execution list --server https://x.example --store state").contains("--store"));
    assert!(refused("run x --api-key a --api-key-file f").contains("--api-key-file"));
}

#[test]
fn settings_of_a_server_are_said_where_it_serves_and_where_they_are_shown() {
    for line in ["serve --port 0 --roles api,worker", "config show --address ::1 --config c.toml"] {
        parsed(line);
    }
    for line in ["serve --roles boss", "serve --port 70000", "execution list --port 1"] {
        refused(line);
    }
}
