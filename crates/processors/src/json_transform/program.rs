//! A jq program, compiled once.

use jaq_core::{
    Ctx, Exn, Filter, Vars,
    data::JustLut,
    load::{self, Arena, File, Loader, lex},
};
use jaq_json::{Val, write::Pp};

/// As many bytes of results as one run may give.
const MAX_RESULT_BYTES: usize = 64 * 1024 * 1024;

/// A compiled program.
pub(crate) struct Program {
    filter: Filter<JustLut<Val>>,
    /// The values of its variables, in the order in which it was compiled with them.
    variables: Vec<Val>,
}

impl Program {
    /// Compiles a program with variables, whose values are JSON texts.
    pub(crate) fn compile(code: &str, variables: &[(String, String)]) -> Result<Self, String> {
        let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let arena = Arena::default();
        // No reader: a program cannot include files.
        let modules = Loader::new(definitions)
            .load(&arena, File { code, path: () })
            .map_err(|errors| load_errors(&errors))?;
        let names: Vec<String> = variables.iter().map(|(name, _)| format!("${name}")).collect();
        let filter = jaq_core::Compiler::default()
            .with_funs(functions)
            .with_global_vars(names.iter().map(String::as_str))
            .compile(modules)
            .map_err(|errors| compile_errors(code, &errors))?;
        let value = |(name, json): &(String, String)| {
            jaq_json::read::parse_single(json.as_bytes())
                .map_err(|error| format!("the variable `${name}` is no JSON: {error}"))
        };
        Ok(Self { filter, variables: variables.iter().map(value).collect::<Result<_, _>>()? })
    }

    /// Runs it on one JSON text; the results as JSON texts.
    pub(crate) fn run(&self, json: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        crate::lines::check(json)?;
        let input = jaq_json::read::parse_single(json).map_err(|error| error.to_string())?;
        self.run_on(input)
    }

    /// Runs it on the array of several JSON texts.
    pub(crate) fn run_on_all<'a>(
        &self,
        lines: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Vec<Vec<u8>>, String> {
        let mut values = Vec::new();
        for (number, line) in (1..).zip(lines) {
            let wrong = |error: String| format!("record {number}: {error}");
            crate::lines::check(line).map_err(wrong)?;
            let value = jaq_json::read::parse_single(line);
            values.push(value.map_err(|error| wrong(error.to_string()))?);
        }
        self.run_on(Val::Arr(values.into()))
    }

    fn run_on(&self, input: Val) -> Result<Vec<Vec<u8>>, String> {
        let variables = Vars::new(self.variables.iter().cloned());
        let context = Ctx::<JustLut<Val>>::new(&self.filter.lut, variables);
        let (mut results, mut bytes) = (Vec::new(), 0);
        for result in self.filter.id.run((context, input)) {
            let json = text(&result.map_err(said)?)?;
            bytes += json.len();
            if bytes > MAX_RESULT_BYTES {
                return Err(format!("the program gives more than {MAX_RESULT_BYTES} bytes"));
            }
            results.push(json);
        }
        Ok(results)
    }
}

/// A result as JSON; jq has values that JSON has not, such as `nan`.
fn text(value: &Val) -> Result<Vec<u8>, String> {
    let mut json = Vec::new();
    jaq_json::write::write(&mut json, &Pp::default(), 0, value)
        .map_err(|error| error.to_string())?;
    match crate::lines::check(&json) {
        Ok(()) => Ok(json),
        Err(error) => Err(format!("a result has no form in JSON: {error}")),
    }
}

/// What a program that ended with an error said.
fn said(exception: Exn<'_, Val>) -> String {
    match exception.get_err() {
        Ok(error) => error.to_string(),
        Err(_) => "the program called `halt`, which has no meaning here".to_owned(),
    }
}

fn load_errors(errors: &load::Errors<&str, ()>) -> String {
    let texts = errors.iter().flat_map(|(file, error)| match error {
        load::Error::Io(errors) => errors
            .iter()
            .map(|(path, _)| format!("`{path}` cannot be included: a program is one text"))
            .collect::<Vec<_>>(),
        load::Error::Lex(errors) => errors
            .iter()
            .map(|(expected, found)| {
                let expected = match expected {
                    // The library knows no words for some of these.
                    lex::Expect::Delim(open) => format!("the end of `{open}`"),
                    other => other.as_str().to_owned(),
                };
                format!("{}: {expected} was expected", place(file.code, found))
            })
            .collect(),
        load::Error::Parse(errors) => errors
            .iter()
            .map(|(expected, found)| {
                let found = if found.is_empty() { "the end" } else { *found };
                let (place, expected) = (place(file.code, found), expected.as_str());
                format!("{place}: {expected} was expected instead of `{found}`")
            })
            .collect(),
    });
    texts.collect::<Vec<_>>().join("; ")
}

fn compile_errors(code: &str, errors: &jaq_core::compile::Errors<&str, ()>) -> String {
    let texts = errors.iter().flat_map(|(_, errors)| errors).map(|(name, kind)| {
        format!("{}: there is no {} `{name}`", place(code, name), kind.as_str())
    });
    texts.collect::<Vec<_>>().join("; ")
}

/// Where a part of the program is, for a person.
fn place(code: &str, part: &str) -> String {
    let (start, end) = (code.as_ptr() as usize, code.as_ptr() as usize + code.len());
    let at = part.as_ptr() as usize;
    // What the parser made up itself, such as the end, is no part of the text.
    let before = if (start..=end).contains(&at) { &code[..at - start] } else { code };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(code: &str, input: &str) -> Result<Vec<String>, String> {
        let program = Program::compile(code, &[("x".to_owned(), "[1.50]".to_owned())])?;
        let results = program.run(input.as_bytes())?;
        Ok(results.into_iter().map(|json| String::from_utf8(json).unwrap()).collect())
    }

    #[test]
    fn numbers_that_are_only_moved_keep_their_digits() {
        let input = r#"{"a":1.10000000000000000001,"b":18446744073709551617}"#;
        assert_eq!(
            results("{b, c: .a, x: $x[0]}", input).unwrap(),
            [r#"{"b":18446744073709551617,"c":1.10000000000000000001,"x":1.50}"#]
        );
        assert_eq!(results(".b + 1", input).unwrap(), ["18446744073709551618"]);
    }

    #[test]
    fn mistakes_in_programs_have_their_place() {
        for (code, message) in [
            ("{a:\n  .b |}", "line 2, column 7: term was expected instead of `}`"),
            (".a | fooo", "line 1, column 6: there is no filter `fooo`"),
            ("$y", "line 1, column 1: there is no variable `$y`"),
            ("[1", "line 1, column 3: the end of `[` was expected"),
            ("include \"a\"; .", "`a` cannot be included: a program is one text"),
        ] {
            assert_eq!(results(code, "{}").unwrap_err(), message, "{code}");
        }
        assert!(results("", "{}").is_err());
    }

    #[test]
    fn mistakes_at_run_time_are_said() {
        for (code, message) in [
            (".a + 1", "cannot calculate"),
            ("error(\"no\")", "no"),
            ("nan", "no form in JSON"),
            ("halt", "`halt`"),
            ("[limit(300; repeat(1))] | reduce .[] as $i (0; [.])", "256 levels"),
            ("range(1e9) | \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" * 1000", "bytes"),
        ] {
            let error = results(code, r#"{"a":{}}"#).unwrap_err();
            assert!(error.contains(message), "{code}: {error}");
        }
        assert!(results(".", "{} {}").is_err());
        assert!(results(".", "NaN").is_err());
    }
}
