//! No text, however damaged, makes the loader panic.

use flexcore_pipeline_file::{Project, SourceFile, definition_of, parse_pipeline};
use proptest::prelude::*;

use crate::support::CONNECTORS;

const EVERYTHING: &str = include_str!("../files/everything.yaml");
const PROJECT: &str = include_str!("../files/project.yaml");

fn load(text: &str) {
    let project = Project::empty("/".into());
    match parse_pipeline(SourceFile::new("p.yaml", text), &project, CONNECTORS) {
        Ok(loaded) => {
            let document = &loaded.definition.document;
            assert_eq!(definition_of(document).unwrap(), loaded.definition);
        }
        // What passes the schema is read into the types: serde never has the last word.
        Err(errors) => {
            let shown = errors.to_string();
            let of_serde = ["missing field", "invalid type", "unknown variant", "did not match"];
            assert!(!of_serde.iter().any(|words| shown.contains(words)), "{shown}");
        }
    }
}

fn line() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "pipeline: p",
        "steps:",
        "- id: a",
        "  command:",
        "argv: [x]",
        "sync: {}",
        "tap: tap-csv",
        "params: {a: {type: string}}",
        "when: steps.a.output > 0",
        "env: [A]",
        "env: {A: null}",
        "\"{{ params.a }}\"",
        "x: &x {a: 1}",
        "<<: *x",
        "- - -",
        "? a",
        "defaults: {retry: {}}",
        "needs: [a]",
        "metadata: {'*': {a: 1}}",
        "flexcore: 1",
        "timeout: 5m",
        "null",
        "{",
        "]",
    ]);
    (0usize..8, words).prop_map(|(indent, word)| format!("{}{word}\n", " ".repeat(indent)))
}

/// A file that can be run, with everything that this version can do.
const RUNNABLE: &str = "flexcore: 1
pipeline: p
description: d
owner: o
tags: [a, b]
params:
  a: { type: string, default: x }
  b: { type: integer, default: 1 }
timeout: 2h
defaults: { timeout: 1m, retry: { attempts: 3, errors: [any] }, env: { A: b } }
steps:
  - id: a
    sync:
      tap: { plugin: tap-csv, config: { files: [] }, env: [HOME] }
      target: target-csv
      select: ['*']
      metadata: { '*': { a: 1 }, b: { c: d } }
      schema: { s: { f: { type: string } } }
      full_refresh: \"{{ params.b > 1 }}\"
      unmatched: warn
      max_line: 1MiB
  - id: b
    needs: [a]
    when: steps.a.output.records > 0
    run_on: ended
    allow_failure: true
    limits: { memory: 1GiB }
    command: { argv: [x, 1, true], ok_exit_codes: [0, 1], cwd: out }
  - { id: c, command: { run: \"echo {{ params.a }}\", shell: sh } }
";

proptest! {
    // Each case checks a whole file; the seeds differ from run to run, so that few go a long way.
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_small_change_to_a_runnable_file_panics(
        at in 0..RUNNABLE.len(),
        length in 0usize..6,
        insert in "[{}\\[\\]:,&*!|'\"%#\\- \na-z0-9]{0,3}",
    ) {
        let end = (at + length).min(RUNNABLE.len());
        load(&format!("{}{insert}{}", &RUNNABLE[..at], &RUNNABLE[end..]));
    }

    #[test]
    fn no_sequence_of_plausible_lines_panics(lines in prop::collection::vec(line(), 0..20)) {
        load(&lines.concat());
    }

    #[test]
    fn no_damage_to_a_real_file_panics(
        at in 0..EVERYTHING.len(),
        length in 0usize..40,
        insert in "[{}\\[\\]:,&*!|'\"%#\\- \n\ta-z0-9]{0,12}",
    ) {
        let start = (0..=at).rev().find(|at| EVERYTHING.is_char_boundary(*at)).unwrap();
        let end = (start + length).min(EVERYTHING.len());
        let end = (end..=EVERYTHING.len()).find(|at| EVERYTHING.is_char_boundary(*at)).unwrap();
        load(&format!("{}{insert}{}", &EVERYTHING[..start], &EVERYTHING[end..]));
    }

    #[test]
    fn no_damage_to_a_project_file_panics(
        at in 0..PROJECT.len(),
        length in 0usize..40,
        insert in "[{}\\[\\]:,&*!|'\"%#\\- \n\ta-z0-9]{0,12}",
    ) {
        let end = (at + length).min(PROJECT.len());
        let text = format!("{}{insert}{}", &PROJECT[..at], &PROJECT[end..]);
        if let Ok(project) = Project::parse("/".into(), SourceFile::new("flexcore.yaml", text)) {
            let source = SourceFile::new("p.yaml", EVERYTHING);
            prop_assert!(parse_pipeline(source, &project, CONNECTORS).is_err());
        }
    }
}
