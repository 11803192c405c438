use std::{
    io::{self, Cursor, Write},
    sync::{Arc, Mutex},
};

use serde_json::json;

use super::*;

/// A writer whose bytes can be looked at.
#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A writer that always fails in the same way.
struct Failing(io::ErrorKind);

impl Write for Failing {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) const TEXT: Appearance =
    Appearance { format: Format::Text, color: Color::Auto, plain: false, quiet: false };
pub(crate) const JSON: Appearance = Appearance { format: Format::Json, ..TEXT };

/// Streams that nobody looks at but the test: standard output and standard error.
pub(crate) fn captured(input: &str) -> (Terminal, Shared, Shared) {
    let (results, messages) = (Shared::default(), Shared::default());
    let terminal = Terminal {
        input: Box::new(Cursor::new(input.to_owned())),
        output: Box::new(results.clone()),
        errors: Box::new(messages.clone()),
        output_is_terminal: false,
        errors_is_terminal: false,
    };
    (terminal, results, messages)
}

fn failing(kind: io::ErrorKind) -> Output {
    let (terminal, _, _) = captured("");
    Output::new(Terminal { output: Box::new(Failing(kind)), ..terminal }, TEXT)
}

#[test]
fn a_result_is_text_or_one_document() {
    let (terminal, results, _) = captured("");
    let output = Output::new(terminal, TEXT);
    output.result(&json!({ "a": 1 }), |value, _| format!("a is {}", value["a"])).unwrap();
    assert_eq!(results.text(), "a is 1\n");

    let (terminal, results, _) = captured("");
    let output = Output::new(terminal, JSON);
    output.result(&json!({ "a": 1 }), |_, _| String::new()).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&results.text()).unwrap()["a"], 1);
}

#[test]
fn items_are_a_line_of_json_each() {
    let (terminal, results, _) = captured("");
    let output = Output::new(terminal, JSON);
    for number in 1..=2 {
        output.item(&json!({ "a": number }), |_, _| String::new()).unwrap();
    }
    assert_eq!(results.text(), "{\"a\":1}\n{\"a\":2}\n");
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let output = failing(io::ErrorKind::BrokenPipe);
    assert!(!output.is_closed());
    output.text(|_| "lost".to_owned()).unwrap();
    assert!(output.is_closed());
    output.text(|_| "lost, too".to_owned()).unwrap();
}

#[test]
fn a_full_disk_under_standard_output_is_an_error() {
    let failure = failing(io::ErrorKind::StorageFull).text(|_| "lost".to_owned()).unwrap_err();
    assert_eq!(failure.exit(), crate::Exit::System);
}

#[test]
fn notes_are_silent_when_asked_and_errors_are_not() {
    let (terminal, _, messages) = captured("");
    let output = Output::new(terminal, Appearance { quiet: true, ..TEXT });
    output.note("a note");
    output.warning("a warning");
    output.failure(&Failure::new(Code::File, "cannot read x"));
    assert_eq!(messages.text(), "error[FC0505]: cannot read x\n");
}

#[test]
fn an_error_in_json_mode_is_its_body() {
    let (terminal, results, messages) = captured("");
    let output = Output::new(terminal, JSON);
    output.warning("would not be JSON");
    output.failure(&Failure::new(Code::File, "cannot read x").hint("look"));
    let body: flexcore_api::ErrorBody = serde_json::from_str(&messages.text()).unwrap();
    assert_eq!((body.code.as_str(), body.hint.as_deref()), ("FC0505", Some("look")));
    assert_eq!(results.text(), "");
}

#[test]
fn colours_are_for_terminals_and_for_those_who_ask() {
    let colored = |color, plain, is_terminal| {
        let (terminal, _, _) = captured("");
        let terminal = Terminal { errors_is_terminal: is_terminal, ..terminal };
        Output::new(terminal, Appearance { color, plain, ..TEXT }).message_style() == Style::COLORED
    };
    assert!(colored(Color::Auto, false, true));
    assert!(!colored(Color::Auto, true, true));
    assert!(!colored(Color::Auto, false, false));
    assert!(colored(Color::Always, true, false));
    assert!(!colored(Color::Never, false, true));
}
