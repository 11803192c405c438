//! Cutting a text into what stands as it is and the expressions between `{{` and `}}`.

use minijinja::{
    machinery::{Token, tokenize},
    syntax::SyntaxConfig,
};

use super::Problem;
use crate::diagnostic::Code;

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// Text that stands as it is.
    Text(String),
    /// What stands between `{{` and `}}`, without the spaces around it.
    Expression(String),
}

/// Whether a text has anything to evaluate.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// Cuts a text into its parts.
pub(crate) fn split(text: &str) -> Result<Vec<Part>, Problem> {
    refuse_statements(text)?;
    if !is_template(text) {
        return Ok(vec![Part::Text(text.to_owned())]);
    }
    let mut parts = Vec::new();
    let mut open: Option<usize> = None;
    for token in tokenize(text, false, syntax()) {
        let (token, span) = token.map_err(|error| syntax_problem(text, &error))?;
        match token {
            Token::TemplateData(data) => parts.push(Part::Text(data.to_owned())),
            Token::VariableStart => open = Some(span.end_offset as usize),
            Token::VariableEnd => {
                let start = open.take().unwrap_or_default();
                let inner = text.get(start..span.start_offset as usize).unwrap_or_default();
                parts.push(Part::Expression(inner.trim().to_owned()));
            }
            _ => {}
        }
    }
    if open.is_some() {
        return Err(unclosed(text));
    }
    Ok(parts)
}

/// The one expression that a value consists of, if it does.
pub(crate) fn single_expression(parts: &[Part]) -> Option<&str> {
    match parts {
        [Part::Expression(expression)] => Some(expression),
        _ => None,
    }
}

/// A bare expression, with tolerated `{{ }}` around it taken off.
pub(crate) fn bare_expression(text: &str) -> Result<String, Problem> {
    let text = text.trim();
    if !is_template(text) {
        return Ok(text.to_owned());
    }
    let parts = split(text)?;
    single_expression(&parts).map(str::to_owned).ok_or_else(|| Problem {
        code: Code::TemplateSyntax,
        message: "an expression cannot have text around `{{ }}`".to_owned(),
        hint: Some("write the expression bare, without `{{ }}`".to_owned()),
        part: text.to_owned(),
    })
}

/// Statements and comments have delimiters that no file contains, so that `${#list[@]}` of a
/// shell stays what it is.
fn syntax() -> SyntaxConfig {
    SyntaxConfig::builder()
        .block_delimiters("\u{1}%", "%\u{1}")
        .comment_delimiters("\u{1}#", "#\u{1}")
        .keep_trailing_newline(true)
        .build()
        .expect("the delimiters differ and none is empty")
}

fn refuse_statements(text: &str) -> Result<(), Problem> {
    let Some(start) = text.find("{%") else { return Ok(()) };
    let Some(length) = text[start..].find("%}") else { return Ok(()) };
    let hint = "only `{{ … }}` is; choose between values with `{{ a if condition else b }}`, and \
                write these very characters as `{{ '{%' }}`";
    Err(Problem {
        code: Code::TemplateSyntax,
        message: "`{% … %}` is not supported".to_owned(),
        hint: Some(hint.to_owned()),
        part: text[start..start + length + 2].to_owned(),
    })
}

fn syntax_problem(text: &str, error: &minijinja::Error) -> Problem {
    Problem {
        code: Code::TemplateSyntax,
        message: error.detail().unwrap_or("this template does not parse").to_owned(),
        hint: None,
        part: error.range().and_then(|range| text.get(range)).unwrap_or(text).to_owned(),
    }
}

fn unclosed(text: &str) -> Problem {
    let part = &text[text.rfind("{{").unwrap_or_default()..];
    let (message, hint) = if part.contains("}}") {
        ("a bracket within `{{ }}` is not closed", None)
    } else {
        ("`{{` without `}}`", Some("write these very characters as `{{ '{{' }}`".to_owned()))
    };
    let message = message.to_owned();
    Problem { code: Code::TemplateSyntax, message, hint, part: part.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    fn expression(text: &str) -> Part {
        Part::Expression(text.to_owned())
    }

    #[test]
    fn a_text_is_cut_at_its_expressions() {
        assert_eq!(
            split("a {{ b }}-{{c}}\n").unwrap(),
            [text("a "), expression("b"), text("-"), expression("c"), text("\n")]
        );
        assert_eq!(split("{{ '}}' }}").unwrap(), [expression("'}}'")]);
        assert_eq!(split("plain }} text").unwrap(), [text("plain }} text")]);
    }

    #[test]
    fn what_a_shell_writes_with_braces_stays() {
        for script in ["${#list[@]}", "printf '{%s}\\n' x", "awk '{print}'", "${x%%}", "{# no #}"] {
            assert_eq!(split(script).unwrap(), [text(script)], "{script}");
        }
    }

    #[test]
    fn statements_are_refused() {
        let problem = split("x {% if a %}b{% endif %}").unwrap_err();
        assert_eq!(problem.part, "{% if a %}");
        assert!(problem.message.contains("not supported"));
    }

    #[test]
    fn an_open_template_is_refused() {
        assert_eq!(split("a {{ b").unwrap_err().part, "{{ b");
    }

    #[test]
    fn braces_around_a_bare_expression_are_tolerated() {
        assert_eq!(bare_expression(" {{ a > 1 }} ").unwrap(), "a > 1");
        assert_eq!(bare_expression("a > 1").unwrap(), "a > 1");
        assert!(bare_expression("{{ a }} and {{ b }}").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[{}%# a-c'\"\\\\é\n|.\\[\\]()-]{0,60}") {
            if let Ok(parts) = split(&text) {
                let plain: usize = parts.iter().map(|part| match part {
                    Part::Text(text) | Part::Expression(text) => text.len(),
                }).sum();
                prop_assert!(plain <= text.len());
            }
        }
    }
}
