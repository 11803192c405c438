//! Evaluating expressions: MiniJinja with a closed set of filters and tests.

use std::sync::LazyLock;

use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value, filters, tests, value::Kwargs};
use serde_json::Value as Json;

use super::{
    Problem,
    template::{Part, single_expression, split},
    time,
};
use crate::diagnostic::Code;

/// How much work an expression may do; far more than any honest one needs.
const FUEL: u64 = 100_000;
/// The longest text that a template may become, in bytes.
const MAX_TEXT: usize = 16 << 20;

/// Filters by name. `date`, `add_duration`, `floor` and `tojson` are ours.
pub(crate) const FILTERS: &[&str] = &[
    "abs",
    "add_duration",
    "bool",
    "d",
    "date",
    "default",
    "dictsort",
    "first",
    "float",
    "floor",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
];

/// Tests by name.
pub(crate) const TESTS: &[&str] = &[
    "boolean",
    "defined",
    "endingwith",
    "eq",
    "even",
    "false",
    "ge",
    "gt",
    "in",
    "integer",
    "le",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
];

static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(engine);

fn engine() -> Environment<'static> {
    let mut engine = Environment::empty();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_fuel(Some(FUEL));
    engine.set_debug(true);
    add_filters(&mut engine);
    add_tests(&mut engine);
    engine
}

fn add_filters(engine: &mut Environment<'static>) {
    engine.add_filter("abs", filters::abs);
    engine.add_filter("add_duration", |value: Value, duration: &str| {
        time::add_duration(&value, duration)
    });
    engine.add_filter("bool", filters::bool);
    engine.add_filter("d", filters::default);
    engine.add_filter("date", |value: Value, format: Option<&str>, options: Kwargs| {
        time::date(&value, format, &options)
    });
    engine.add_filter("default", filters::default);
    engine.add_filter("dictsort", filters::dictsort);
    engine.add_filter("first", filters::first);
    engine.add_filter("float", filters::float);
    engine.add_filter("floor", |value: Value, unit: Option<&str>| time::floor(&value, unit));
    engine.add_filter("int", filters::int);
    engine.add_filter("items", filters::items);
    engine.add_filter("join", filters::join);
    engine.add_filter("last", filters::last);
    engine.add_filter("length", filters::length);
    engine.add_filter("lines", filters::lines);
    engine.add_filter("list", filters::list);
    engine.add_filter("lower", filters::lower);
    engine.add_filter("map", filters::map);
    engine.add_filter("max", filters::max);
    engine.add_filter("min", filters::min);
    engine.add_filter("reject", filters::reject);
    engine.add_filter("rejectattr", filters::rejectattr);
    engine.add_filter("replace", filters::replace);
    engine.add_filter("reverse", filters::reverse);
    engine.add_filter("round", filters::round);
    engine.add_filter("select", filters::select);
    engine.add_filter("selectattr", filters::selectattr);
    engine.add_filter("sort", filters::sort);
    engine.add_filter("split", filters::split);
    engine.add_filter("string", filters::string);
    engine.add_filter("sum", filters::sum);
    engine.add_filter("title", filters::title);
    engine.add_filter("tojson", |value: Value| json(&value).map(|json| json.to_string()));
    engine.add_filter("trim", filters::trim);
    engine.add_filter("unique", filters::unique);
    engine.add_filter("upper", filters::upper);
}

fn add_tests(engine: &mut Environment<'static>) {
    engine.add_test("boolean", tests::is_boolean);
    engine.add_test("defined", tests::is_defined);
    engine.add_test("endingwith", tests::is_endingwith);
    engine.add_test("eq", tests::is_eq);
    engine.add_test("even", tests::is_even);
    engine.add_test("false", tests::is_false);
    engine.add_test("ge", tests::is_ge);
    engine.add_test("gt", tests::is_gt);
    engine.add_test("in", tests::is_in);
    engine.add_test("integer", tests::is_integer);
    engine.add_test("le", tests::is_le);
    engine.add_test("lt", tests::is_lt);
    engine.add_test("mapping", tests::is_mapping);
    engine.add_test("ne", tests::is_ne);
    engine.add_test("none", tests::is_none);
    engine.add_test("number", tests::is_number);
    engine.add_test("odd", tests::is_odd);
    engine.add_test("sequence", tests::is_sequence);
    engine.add_test("startingwith", tests::is_startingwith);
    engine.add_test("string", tests::is_string);
    engine.add_test("true", tests::is_true);
    engine.add_test("undefined", tests::is_undefined);
}

/// The value of an expression.
pub(crate) fn evaluate(expression: &str, scope: &Value) -> Result<Json, Problem> {
    let compiled = ENGINE.compile_expression(expression).map_err(|e| problem(expression, &e))?;
    let value = compiled.eval(scope).map_err(|e| problem(expression, &e))?;
    if value.is_undefined() {
        return Err(undefined(expression));
    }
    json(&value).map_err(|error| problem(expression, &error))
}

/// The value of a text that may have templates: of any type if it is exactly one, else a text.
pub(crate) fn render(text: &str, scope: &Value) -> Result<Json, Problem> {
    let parts = split(text)?;
    if let Some(expression) = single_expression(&parts) {
        return evaluate(expression, scope);
    }
    let mut rendered = String::with_capacity(text.len());
    for part in &parts {
        match part {
            Part::Text(text) => rendered.push_str(text),
            Part::Expression(expression) => match evaluate(expression, scope)? {
                Json::String(text) => rendered.push_str(&text),
                other => rendered.push_str(&other.to_string()),
            },
        }
        if rendered.len() > MAX_TEXT {
            return Err(Problem {
                code: Code::IllegalValue,
                message: format!("the text becomes longer than {MAX_TEXT} bytes"),
                hint: None,
                part: text.to_owned(),
            });
        }
    }
    Ok(Json::String(rendered))
}

fn json(value: &Value) -> Result<Json, minijinja::Error> {
    let number = f64::try_from(value.clone()).ok().filter(|_| value.is_number());
    if number.is_some_and(|number| !number.is_finite()) {
        return Err(minijinja::Error::new(
            ErrorKind::InvalidOperation,
            "the result is not a finite number",
        ));
    }
    serde_json::to_value(value).map_err(|error| {
        minijinja::Error::new(ErrorKind::InvalidOperation, format!("no JSON value: {error}"))
    })
}

fn undefined(expression: &str) -> Problem {
    Problem {
        code: Code::UnknownName,
        message: format!("`{expression}` is undefined"),
        hint: None,
        part: expression.to_owned(),
    }
}

fn problem(expression: &str, error: &minijinja::Error) -> Problem {
    let detail = error.detail().unwrap_or_default();
    let code = match error.kind() {
        ErrorKind::UndefinedError => Code::UnknownName,
        ErrorKind::SyntaxError => Code::TemplateSyntax,
        _ if detail.contains("` is undefined") => Code::UnknownName,
        _ => Code::IllegalValue,
    };
    let message = match error.kind() {
        ErrorKind::OutOfFuel => "the expression does too much work".to_owned(),
        kind if detail.is_empty() => kind.to_string(),
        _ => detail.to_owned(),
    };
    Problem { code, message, hint: None, part: expression.to_owned() }
}

#[cfg(test)]
mod tests_of_engine {
    use serde_json::json;

    use super::*;

    fn scope() -> Value {
        Value::from(minijinja::value::Serde(json!({
            "params": { "n": 3, "text": "x", "list": [1, 2], "none": null },
            "at": "2026-01-31T23:59:30Z",
            "day": "2026-01-31",
        })))
    }

    fn value(expression: &str) -> Json {
        evaluate(expression, &scope()).unwrap()
    }

    fn error(expression: &str) -> String {
        evaluate(expression, &scope()).unwrap_err().message
    }

    #[test]
    fn a_value_that_is_one_template_keeps_its_type() {
        let rendered = |text| render(text, &scope()).unwrap();
        assert_eq!(rendered("{{ params.n }}"), json!(3));
        assert_eq!(rendered("{{ params.list }}"), json!([1, 2]));
        assert_eq!(rendered("{{ params.none }}"), json!(null));
        assert_eq!(rendered("n={{ params.n }}"), json!("n=3"));
        assert_eq!(rendered("{{ params.list }} {{ params.none }}\n"), json!("[1,2] null\n"));
        assert_eq!(rendered("{{ '{{' }}.Name}}"), json!("{{.Name}}"));
        assert_eq!(rendered("plain"), json!("plain"));
    }

    #[test]
    fn what_is_undefined_is_named() {
        assert_eq!(error("params.x"), "`params.x` is undefined");
        assert_eq!(error("params.x.y"), "`params.x` is undefined");
        assert!(error("params.x + 1").contains("`params.x` is undefined"));
        assert!(error("'a' ~ nope").contains("`nope` is undefined"));
        assert_eq!(value("params.x | default(5)"), json!(5));
        assert_eq!(value("params.x is defined"), json!(false));
    }

    #[test]
    fn numbers_stay_exact_or_are_refused() {
        assert_eq!(value("18446744073709551615"), json!(u64::MAX));
        assert!(error("18446744073709551615 + 1").contains("number"));
        assert!(error("1e308 * 10").contains("finite"));
    }

    #[test]
    fn an_expression_cannot_run_for_ever_or_fill_the_memory() {
        assert!(error("'a' * 100000000000").contains("too large"));
        let nested = format!("{}1{}", "(".repeat(500), ")".repeat(500));
        assert!(evaluate(&nested, &scope()).is_err());
    }

    #[test]
    fn every_listed_filter_and_test_exists() {
        for filter in FILTERS {
            let message = evaluate(&format!("1 | {filter}"), &scope()).err().map(|p| p.message);
            assert!(!message.is_some_and(|text| text.contains("unknown")), "{filter}");
        }
        for test in TESTS {
            let expression = format!("1 is {test}");
            let message = evaluate(&expression, &scope()).err().map(|p| p.message);
            assert!(!message.is_some_and(|text| text.contains("unknown")), "{test}");
        }
    }

    #[test]
    fn times_are_formatted_moved_and_rounded_down() {
        assert_eq!(value("at | date"), json!("2026-01-31"));
        assert_eq!(value("at | date('%H:%M', timezone='Europe/Lisbon')"), json!("23:59"));
        assert_eq!(value("at | date('%Y/%m', timezone='Asia/Tokyo')"), json!("2026/02"));
        assert_eq!(value("at | add_duration('30s')"), json!("2026-02-01T00:00:00Z"));
        assert_eq!(value("day | add_duration('-31d')"), json!("2025-12-31"));
        assert_eq!(value("at | floor('1h')"), json!("2026-01-31T23:00:00Z"));
        assert_eq!(value("at | floor('1d') | date('%d')"), json!("31"));
        assert_eq!(value("3.7 | floor"), json!(3));
        assert!(error("day | add_duration('1h')").contains("whole days"));
        assert!(error("at | add_duration('soon')").contains("not a duration"));
        assert!(error("params.text | date").contains("neither a time"));
        assert!(error("at | date(timezone='Mars')").contains("time zone"));
        assert!(error("at | floor('0s')").contains("not a duration"));
    }

    #[test]
    fn json_is_written_by_a_filter() {
        assert_eq!(value("params.list | tojson"), json!("[1,2]"));
    }
}
