//! What a verb says: results on standard output, everything else on standard error.

use std::{
    fmt,
    io::{self, Read, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;

use crate::{
    Terminal,
    failure::{Code, Failure},
    text::{Style, failure_text},
};

/// The form of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document; JSON Lines where something is followed.
    Json,
}

/// When text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless the environment has NO_COLOR.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How a verb's output looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appearance {
    pub(crate) format: Format,
    pub(crate) color: Color,
    /// Whether the environment forbids colours that nobody asked for.
    pub(crate) plain: bool,
    /// Whether notes, warnings and progress are left out.
    pub(crate) quiet: bool,
}

/// Both output streams of a verb, shared by everything that it does at the same time.
///
/// A reader that goes away (`| head`) is no error: what would follow is dropped.
pub(crate) struct Output {
    appearance: Appearance,
    results: Mutex<Sink>,
    messages: Mutex<Sink>,
    input: Mutex<Box<dyn Read + Send>>,
    messages_are_seen: bool,
}

struct Sink {
    writer: Box<dyn Write + Send>,
    style: Style,
    closed: bool,
}

impl Output {
    pub(crate) fn new(terminal: Terminal, appearance: Appearance) -> Self {
        let style = |is_terminal: bool| match appearance.color {
            Color::Always => Style::COLORED,
            Color::Auto if is_terminal && !appearance.plain => Style::COLORED,
            Color::Auto | Color::Never => Style::PLAIN,
        };
        let sink = |writer, is_terminal| {
            Mutex::new(Sink { writer, style: style(is_terminal), closed: false })
        };
        Self {
            appearance,
            results: sink(terminal.output, terminal.output_is_terminal),
            messages: sink(terminal.errors, terminal.errors_is_terminal),
            input: Mutex::new(terminal.input),
            messages_are_seen: terminal.errors_is_terminal,
        }
    }

    /// Whether results are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.appearance.format == Format::Json
    }

    /// Whether notes, warnings and progress are left out: if that was asked for, and where a
    /// program reads standard error, which then has nothing but the error's JSON.
    pub(crate) fn is_quiet(&self) -> bool {
        self.appearance.quiet || (self.is_json() && !self.is_interactive())
    }

    /// Whether a person sees standard error: there is somebody to ask, and progress can be drawn.
    pub(crate) const fn is_interactive(&self) -> bool {
        self.messages_are_seen
    }

    /// Whether nobody reads the results any more.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.results).closed
    }

    /// How text on standard error looks.
    pub(crate) fn message_style(&self) -> Style {
        lock(&self.messages).style
    }

    /// A result: one JSON document, or its text.
    pub(crate) fn result<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&T, Style) -> String,
    ) -> Result<(), Failure> {
        if self.is_json() { self.document(value) } else { self.text(|style| text(value, style)) }
    }

    /// One of many results that follow each other: a line of JSON, or lines of text.
    pub(crate) fn item<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&T, Style) -> String,
    ) -> Result<(), Failure> {
        if self.is_json() {
            let line = serde_json::to_string(value).map_err(|error| unserialisable(&error))?;
            self.write_results(&format!("{line}\n"))
        } else {
            self.text(|style| text(value, style))
        }
    }

    /// A JSON document, whatever the format.
    pub(crate) fn document<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(|error| unserialisable(&error))?;
        self.write_results(&format!("{text}\n"))
    }

    /// Text as a result; a missing last newline is added.
    pub(crate) fn text(&self, text: impl FnOnce(Style) -> String) -> Result<(), Failure> {
        let style = lock(&self.results).style;
        let mut text = text(style);
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        self.write_results(&text)
    }

    /// Bytes as a result, as they are.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        lock(&self.results).write(bytes).map_err(|error| unwritable(&error))
    }

    /// Something good to know.
    pub(crate) fn note(&self, text: &str) {
        if !self.is_quiet() {
            self.message(text);
        }
    }

    /// A warning in one line or more.
    pub(crate) fn warning(&self, text: &str) {
        let style = self.message_style();
        self.note(&format!("{} {text}", style.yellow("warning:")));
    }

    /// What the verb failed with: text, or the error's JSON.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.is_json() {
            let json = match failure {
                Failure::Files(diagnostics) => serde_json::to_string(diagnostics),
                Failure::Error { body, .. } => serde_json::to_string(body),
            };
            self.message(&json.unwrap_or_else(|error| error.to_string()));
        } else {
            self.message(&failure_text(failure, self.message_style()));
        }
    }

    /// A line on standard error. If standard error itself cannot be written there is nowhere left
    /// to say so.
    pub(crate) fn message(&self, text: &str) {
        let _ = lock(&self.messages).write(format!("{text}\n").as_bytes());
    }

    /// All of standard input.
    pub(crate) fn read_input(&self) -> io::Result<String> {
        let mut text = String::new();
        lock(&self.input).read_to_string(&mut text)?;
        Ok(text)
    }

    /// One line of standard input, without its end; empty at the end of the input.
    pub(crate) fn read_line(&self) -> io::Result<String> {
        let mut line = Vec::new();
        let mut input = lock(&self.input);
        let mut byte = [0];
        // Byte by byte: what follows the line is somebody else's.
        while input.read(&mut byte)? == 1 && byte != *b"\n" {
            line.extend(byte);
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    fn write_results(&self, text: &str) -> Result<(), Failure> {
        self.raw(text.as_bytes())
    }
}

impl Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        match self.writer.write_all(bytes).and_then(|()| self.writer.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            result => result,
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Output")
            .field("appearance", &self.appearance)
            .finish_non_exhaustive()
    }
}

/// A panic while something was written does not make the stream worse.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unwritable(error: &io::Error) -> Failure {
    Failure::new(Code::Process, format!("cannot write to standard output: {error}"))
}

fn unserialisable(error: &serde_json::Error) -> Failure {
    Failure::new(Code::Process, format!("cannot write the result as JSON: {error}"))
}

#[cfg(test)]
pub(crate) mod tests;
